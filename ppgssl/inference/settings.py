"""What bulk embedding is asked for: the same settings for Python, the shell and the service.

Import is light: the service reads these settings without loading what computes.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from ppgssl.errors import DatasetError
from ppgssl.inference.granularity import Granularity

SHORTEST_WINDOW_S = 2.0  # at least one heartbeat, even at 30 bpm

OF_RECORDINGS = ("window_seconds", "fs_hz", "channel")
"""Settings that say how recordings are read and cut; the windows of a dataset are cut already."""


class EmbeddingSettings(BaseModel):
    """How recordings are embedded.

    Attributes:
        granularity: An embedding per window, or per segment of it.
        window_seconds: Length of the windows that recordings are cut into; None is the encoder's.
        fs_hz: Sampling rate of files that do not say theirs.
        channel: Channel that holds the PPG; None finds it by its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    granularity: Granularity = Granularity.WINDOW
    window_seconds: float | None = Field(default=None, ge=SHORTEST_WINDOW_S, allow_inf_nan=False)
    fs_hz: PositiveFloat | None = Field(default=None, allow_inf_nan=False)
    channel: str | None = None

    @classmethod
    def of_job(cls, config: Mapping[str, Any]) -> Self:
        """What of a job's config is bulk embedding's own."""
        return cls.model_validate({name: config[name] for name in cls.model_fields & config.keys()})

    def refuse_of_recordings(self, dataset: str) -> None:
        """Refuse what makes no sense for a dataset.

        Raises:
            DatasetError: A setting of recordings is given.
        """
        for name in OF_RECORDINGS:
            if getattr(self, name) is not None:
                raise DatasetError(
                    f"{name} is for recordings, and the windows of the dataset {dataset!r} are cut "
                    "already; leave it out, or name the folder of the recordings"
                )
