"""What the job table refuses, and why.

InputError
├── JobNotFoundError              no job has this id
├── CheckpointNotFoundError       the job has no checkpoint of this name
├── ModelNotFoundError            neither a job nor an alias has this name
├── ApiKeyNotFoundError           no API key has this id
├── WebhookNotFoundError          no webhook has this id
├── DeliveryNotFoundError         the webhook has no delivery of this id
└── JobConflictError              the request contradicts what is there: HTTP 409
    ├── JobStateError             the job's status makes the request senseless
    ├── JobInUseError             an alias points at the job
    ├── IdempotencyError          the key was used with another request body
    └── WebhookDisabledError      the webhook answered that it is gone
RunError
└── LeaseLostError                another worker holds the job, or nobody: stop working on it
"""

from ppgssl.errors import InputError, RunError
from ppgssl.jobs.status import JobStatus


class JobNotFoundError(InputError):
    """No job has this id."""

    code = "job_not_found"


class CheckpointNotFoundError(InputError):
    """The job has no checkpoint of this name."""

    code = "checkpoint_not_found"


class ModelNotFoundError(InputError):
    """Neither a job nor an alias has this name."""

    code = "model_not_found"


class ApiKeyNotFoundError(InputError):
    """No API key has this id."""

    code = "api_key_not_found"


class WebhookNotFoundError(InputError):
    """No webhook has this id."""

    code = "webhook_not_found"


class DeliveryNotFoundError(InputError):
    """The webhook has no delivery of this id."""

    code = "delivery_not_found"


class JobConflictError(InputError):
    """The request contradicts what is there."""

    code = "job_conflict"


class JobStateError(JobConflictError):
    """The job's status makes the request senseless."""

    code = "job_state_conflict"

    def __init__(self, message: str, status: JobStatus) -> None:
        super().__init__(message)
        self.status = status


class JobInUseError(JobConflictError):
    """An alias points at the job."""

    code = "job_in_use"


class IdempotencyError(JobConflictError):
    """The idempotency key was used with another request body."""

    code = "idempotency_key_reused"


class WebhookDisabledError(JobConflictError):
    """The webhook answered that it is gone, and is told nothing any more."""

    code = "webhook_disabled"


class LeaseLostError(RunError):
    """The job is no longer this worker's: nothing it writes is accepted."""

    code = "lease_lost"
