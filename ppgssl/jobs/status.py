"""The states of a job, and what can be asked of it.

    create ──► queued ──claim──► running ──► succeeded | failed | cancelled
                │  ▲ ▲             │ │
          pause │  │ └─ lease ran out, run died, worker told to stop
                ▼  │               │
              paused ◄──── pause ──┘         queued, paused ──cancel──► cancelled

Who moves it: the API creates, cancels, pauses and resumes; a worker claims, finishes and hands
back. Whoever polls next recovers a job whose lease ran out.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    """Waits for a worker; new, resumed, or handed back by one."""
    RUNNING = "running"
    """A worker holds its lease."""
    SUCCEEDED = "succeeded"
    """Trained to its end; its best checkpoint can embed."""
    FAILED = "failed"
    """Ended by an error, which the job carries; will not be tried again."""
    CANCELLED = "cancelled"
    """Ended because somebody asked for it."""
    PAUSED = "paused"
    """Waits for a resume; continues from its last checkpoint."""

    @property
    def is_finished(self) -> bool:
        """Nothing moves the job out of this state any more."""
        return self in FINISHED


FINISHED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})

STALLED = "stalled"
"""Shown instead of `running` while the lease has run out; never stored."""


class Reason(StrEnum):
    """Why a job failed, in a stable word; the run's own errors add the codes of `ppgssl.errors`."""

    WORKER_LOST = "worker_lost"
    """The lease ran out: its worker was killed, cut off or frozen."""
    PROCESS_DIED = "process_died"
    """The run's process ended without a word; the message has its last lines."""
    CHECKPOINT_WRITE_FAILED = "checkpoint_write_failed"
    """The disk was full or refused when the run wrote a checkpoint, or before it could start."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel killed it for memory, or not even one window at a time fits the device."""
    MAX_RUNTIME_EXCEEDED = "max_runtime_exceeded"
    """It ran longer, over all its attempts, than was allowed when it was submitted."""
    INTERNAL_ERROR = "internal_error"
    """A defect of ours; the log has the traceback."""


RETRIED = frozenset({Reason.WORKER_LOST, Reason.PROCESS_DIED, Reason.CHECKPOINT_WRITE_FAILED})
"""What another attempt may mend. The same input and the same seed fail the same way again."""


class Action(StrEnum):
    """What was asked of a running job; its worker does it within seconds."""

    CANCEL = "cancel"
    PAUSE = "pause"


class EventType(StrEnum):
    """Kinds of job events; the data of each is described in `ppgssl.jobs.store`."""

    STATUS = "status"
    PROGRESS = "progress"
    LOSSES = "losses"
    CHECKPOINT = "checkpoint"
    WARNING = "warning"
