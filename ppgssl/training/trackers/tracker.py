"""What a tracker has to do.

Each tracker's module beside this one offers `open_tracker(out, config)`, which takes the run folder
and the config's tree, and raises anything where it cannot track.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ppgssl.training.progress import LossPoint

PROJECT = "ppgssl"


@runtime_checkable
class Tracker(Protocol):
    """One run in a tracker; called from one thread. Whatever it raises ends the tracking only."""

    def log(self, points: Sequence[LossPoint]) -> None:
        """Take in new points, in order; a resumed run is told its earlier ones again."""
        ...

    def close(self, *, succeeded: bool) -> None:
        """The run is over."""
        ...


def named_values(point: LossPoint) -> dict[str, float]:
    """A point's values by split and name, such as `val/total`."""
    return {f"{point.split}/{name}": value for name, value in point.values.items()}


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a config by their keys, such as `training.epochs`."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
