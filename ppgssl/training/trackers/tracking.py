"""Keeps trackers at a distance: each has a thread, and a run feels neither its pace nor its end."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ppgssl.config import Config
from ppgssl.training.progress import CheckpointSaved, LossPoint, Progress, Reporter, RunPlan
from ppgssl.training.trackers.tracker import Tracker

BY_DEFAULT = "tensorboard"
PATIENCE_S = 30.0  # at a run's end, for a tracker that is behind


@dataclass(frozen=True, slots=True)
class _End:
    succeeded: bool


class Feed:
    """One tracker in its thread; `failure` says why it tracks no more."""

    def __init__(self, name: str, open_tracker: Callable[[], Tracker]) -> None:
        self.name = name
        self.failure: str | None = None
        self._open_tracker = open_tracker
        self._queue: SimpleQueue[Sequence[LossPoint] | _End] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def put(self, points: Sequence[LossPoint]) -> None:
        """Hand over points; returns at once."""
        if self.failure is None:
            self._queue.put(points)

    def end(self, *, succeeded: bool) -> None:
        """Let the tracker finish, for as long as there is patience."""
        self._queue.put(_End(succeeded))
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self.failure = f"has not taken in all points {PATIENCE_S:g} s after the run's end"

    def _run(self) -> None:
        try:
            tracker = self._open_tracker()
            while not isinstance(item := self._queue.get(), _End):
                tracker.log(item)
            tracker.close(succeeded=item.succeeded)
        except ModuleNotFoundError:
            self.failure = f"is not installed; pip install 'ppgssl[{self.name}]'"
        except Exception as error:  # whatever a tracker raises, the run goes on
            self.failure = f"{type(error).__name__}: {error}"


class TrackedReporter:
    """Tells a reporter all and its trackers the losses."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._feeds: list[Feed] = []

    @contextmanager
    def tracking(self, config: Config, out: Path, earlier: Sequence[LossPoint]) -> Generator[None]:
        """Track what is told meanwhile, behind the points of an earlier start."""
        tree = config.model_dump(mode="json")
        for name in chosen(config):
            self._feeds.append(Feed(name, partial(_open, name, out, tree)))
        self._feed(earlier)
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            for feed in self._feeds:
                feed.end(succeeded=succeeded)
            self._tell_failures()

    def started(self, plan: RunPlan) -> None:
        """Told on."""
        self._reporter.started(plan)

    def losses(self, points: Sequence[LossPoint]) -> None:
        """Told on, and to the trackers."""
        self._reporter.losses(points)
        self._feed(points)
        self._tell_failures()

    def progress(self, progress: Progress) -> None:
        """Told on."""
        self._reporter.progress(progress)

    def checkpoint(self, saved: CheckpointSaved) -> None:
        """Told on."""
        self._reporter.checkpoint(saved)

    def warning(self, message: str) -> None:
        """Told on."""
        self._reporter.warning(message)

    def note(self, message: str) -> None:
        """Told on."""
        self._reporter.note(message)

    def _feed(self, points: Sequence[LossPoint]) -> None:
        if points:
            for feed in self._feeds:
                feed.put(points)

    def _tell_failures(self) -> None:
        """Once each; a reporter is told from the run's own thread alone."""
        failed = [feed for feed in self._feeds if feed.failure is not None]
        self._feeds = [feed for feed in self._feeds if feed not in failed]
        for feed in failed:
            self._reporter.warning(f"tracker {feed.name}: {feed.failure}; the run goes on without")


def chosen(config: Config) -> Sequence[str]:
    """Names of the trackers that a config asks for."""
    names = config.training.trackers
    if names == "auto":
        return (BY_DEFAULT,) if find_spec(BY_DEFAULT) else ()
    return names


def _open(name: str, out: Path, config: Mapping[str, Any]) -> Tracker:
    """A tracker's module is imported in its thread."""
    module: Any = import_module(f"ppgssl.training.trackers.{name}")
    return module.open_tracker(out, config)
