"""The error tree: everything ppgssl raises on purpose.

    PpgsslError
    ├── InputError (also ValueError)        the caller can mend it: exit code 2, HTTP 4xx
    │   ├── ConfigError                     a config key or value
    │   ├── RecordingError                  a raw recording that cannot be read
    │   ├── DatasetError                    a dataset folder that is missing or damaged
    │   ├── WindowError                     a window that cannot be embedded
    │   ├── EmbeddingsError                 a file of embeddings, or what is looked for in it
    │   ├── CheckpointError                 a checkpoint that is missing or damaged
    │   └── DeviceError                     a device that this machine does not have
    └── RunError (also RuntimeError)        a failure of the run itself: exit code 1, HTTP 5xx
        ├── NonFiniteLossError              the loss or a gradient became inf or nan
        ├── SelfCheckError                  the model cannot learn even one batch by heart
        ├── CollapsedError                  the run learns nothing, and was told to stop then
        ├── CheckpointWriteError            a checkpoint could not be written
        ├── ProcessLostError                one of a run's several processes died
        ├── OutOfMemoryError                memory does not hold even one window's training
        └── ServiceError                    the HTTP service could not be reached, or refused

Every class has a stable `code`: jobs, problem details and scripts match on it, never on the text.
"""

from typing import ClassVar


class PpgsslError(Exception):
    """Base of every error that ppgssl raises on purpose."""

    code: ClassVar[str] = "error"


class InputError(PpgsslError, ValueError):
    """The caller's input is wrong; the message says what was expected and how to mend it."""

    code = "invalid_input"


class ConfigError(InputError):
    """A configuration key is unknown or its value impossible."""

    code = "config_invalid"


class RecordingError(InputError):
    """A raw recording cannot be read."""

    code = "recording_invalid"


class DatasetError(InputError):
    """A dataset folder is missing, damaged or does not fit the config."""

    code = "dataset_invalid"


class WindowError(InputError):
    """A window cannot be embedded: wrong length, not finite, or flat."""

    code = "window_invalid"


class EmbeddingsError(InputError):
    """A file of embeddings or its index cannot be used, or lacks what is looked for."""

    code = "embeddings_invalid"


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, or of another architecture."""

    code = "checkpoint_invalid"


class DeviceError(InputError):
    """A device was asked for by name that this machine does not have."""

    code = "device_unavailable"


class RunError(PpgsslError, RuntimeError):
    """A run failed for a reason that is not the caller's input."""

    code = "run_failed"


class NonFiniteLossError(RunError):
    """The loss or a gradient became inf or nan."""

    code = "non_finite_loss"


class SelfCheckError(RunError):
    """Before the run, the model could not learn even one batch by heart."""

    code = "self_check_failed"


class CollapsedError(RunError):
    """The run learns nothing and was told to stop then; `last` is written."""

    code = "collapsed"


class CheckpointWriteError(RunError):
    """A checkpoint could not be written; the previous one still stands."""

    code = "checkpoint_write_failed"


class ProcessLostError(RunError):
    """One of the processes that trained together died; `last` stands."""

    code = "process_lost"


class OutOfMemoryError(RunError):
    """Memory does not hold the training of even one window at a time."""

    code = "out_of_memory"


class ServiceError(RunError):
    """The HTTP service could not be reached, or refused the request."""

    code = "service_error"
