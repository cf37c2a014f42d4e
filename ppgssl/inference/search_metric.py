"""What near means, where embeddings are compared."""

from enum import StrEnum


class Metric(StrEnum):
    """A distance between two embeddings."""

    COSINE = "cosine"
    """1 - cosine of the angle between them: from 0 to 2, however long they are."""
    EUCLIDEAN = "euclidean"
