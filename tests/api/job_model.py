"""What a job may become, written down a second time: plain, slow, without a database."""

from dataclasses import dataclass, field

FINISHED = {"succeeded", "failed", "cancelled"}


@dataclass
class ModelJob:
    """One job. Methods return whether the service is to agree; refused ones change nothing."""

    id: str
    priority: int
    max_attempts: int
    status: str = "queued"
    attempt: int = 0
    keeps_attempt: bool = False
    asked: str | None = None
    has_lapsed: bool = False
    steps: set[int] = field(default_factory=set)

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def is_stalled(self) -> bool:
        return self.status == "running" and self.has_lapsed

    @property
    def shown(self) -> str:
        return "stalled" if self.is_stalled else self.status

    def cancel(self) -> bool:
        if self.status in {"succeeded", "failed"}:
            return False
        if self.status == "running" and not self.is_stalled:
            self.asked = "cancel"
        else:
            self._move("cancelled")
        return True

    def pause(self) -> bool:
        if self.is_finished or self.asked == "cancel":
            return False
        if self.status == "running" and not self.is_stalled:
            self.asked = "pause"
        else:
            self._move("paused")
        return True

    def resume(self) -> bool:
        if self.is_finished or self.asked == "cancel":
            return False
        self.asked = None
        if self.status == "paused":
            self._move("queued")
        return True

    def start(self) -> None:
        """A worker claimed it."""
        self.attempt += not self.keeps_attempt
        self.keeps_attempt = self.has_lapsed = False
        self.status = "running"

    def succeed(self) -> None:
        self._move("succeeded")

    def stop(self) -> None:
        """Its run stopped at a checkpoint."""
        if not self._do_what_was_asked():
            self.keeps_attempt = True
            self._move("queued")

    def die(self, *, can_be_mended: bool) -> None:
        """Its run ended badly, or its worker was lost."""
        if not self._do_what_was_asked():
            again = can_be_mended and self.attempt < self.max_attempts
            self._move("queued" if again else "failed")

    def _do_what_was_asked(self) -> bool:
        if self.asked is None:
            return False
        self.keeps_attempt = self.asked == "pause"
        self._move({"cancel": "cancelled", "pause": "paused"}[self.asked])
        return True

    def _move(self, status: str) -> None:
        self.status, self.asked = status, None
