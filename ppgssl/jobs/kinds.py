"""The kinds of job, and where what they leave behind lies in a job's folder."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does."""

    PRETRAIN = "pretrain"
    """Trains an encoder on a dataset; leaves checkpoints."""
    EVALUATE = "evaluate"
    """Probes an encoder on a labelled dataset; leaves a report."""
    EMBED = "embed"
    """Embeds a dataset or a folder of recordings; leaves a Parquet file of embeddings."""


OF_AN_ENCODER = (JobKind.EVALUATE.value, JobKind.EMBED.value)
"""Kinds whose config names kept encoders, as the job table has them."""


JOBS_FOLDER = "jobs"
"""Of the artifact root; what a job leaves behind lies in a folder of its id in there."""

REPORT_FOLDER = "report"
"""Of an evaluation; it is there as a whole, or not at all."""

EMBEDDINGS_FOLDER = "embeddings"
"""Of a job that embeds; it is there as a whole, or not at all."""
EMBEDDINGS_FILE = "embeddings.parquet"
EMBEDDINGS_SUMMARY = "summary.json"

PARTS_FOLDER = ".parts"
"""Of a claim that embeds: what it has finished, see `ppgssl.inference.bulk_parts`."""

CHECKPOINTS_FOLDER = "steps"
"""Of a training run; it holds a folder per checkpoint, see `ppgssl.training.checkpoint`."""
