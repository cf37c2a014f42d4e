"""What one embedding describes; known to whoever asks for embeddings without PyTorch."""

from enum import StrEnum


class Granularity(StrEnum):
    """A window as a whole, or its segments."""

    WINDOW = "window"
    """The whole window: the mean of its segments."""
    SEGMENT = "segment"
    """One segment of it, as it is heard in the window."""
