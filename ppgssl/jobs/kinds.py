"""The kinds of job, and where what they leave behind lies in a job's folder."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    PRETRAIN = "pretrain"
    """Trains an encoder on a dataset; leaves checkpoints."""
    EVALUATE = "evaluate"
    """Probes an encoder on a labelled dataset; leaves a report."""


JOBS_FOLDER = "jobs"
"""Of the artifact root; what a job leaves behind lies in a folder of its id in there."""

REPORT_FOLDER = "report"
"""Of an evaluation; it is there as a whole, or not at all."""

CHECKPOINTS_FOLDER = "steps"
"""Of a training run; it holds a folder per checkpoint, see `ppgssl.training.checkpoint`."""
