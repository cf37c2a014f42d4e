"""The job table: what the API asks and what a worker writes.

One method is one transaction. Reads never wait for a worker; writes to a running job need its
lease, and a write with a lease that another worker took over is refused, never merged.

Events, oldest first, are what a job's watchers see; the data of each type:
    status      status, attempt, reason (or null), error {code, message} (or null)
    progress    epoch, epochs, step, steps, fraction, eta_s, windows_per_s
    losses      points [{step, epoch, split, values {...}}]
    checkpoint  name, step, epoch, val_loss
    warning     message
The last event of a finished job is its status (`Event.is_terminal`).
"""

from ppgssl.jobs.queries.history import JobHistory
from ppgssl.jobs.queries.models import ModelNames
from ppgssl.jobs.queries.recovery import Recovery
from ppgssl.jobs.queries.removal import JobRemoval
from ppgssl.jobs.queries.requests import JobRequests
from ppgssl.jobs.queries.retention import JobRetention
from ppgssl.jobs.queries.work import JobWork


class JobStore(JobRequests, JobHistory, ModelNames, JobWork, Recovery, JobRetention, JobRemoval):
    """The job table of one database. Thread-safe; keep one for the life of a process."""
