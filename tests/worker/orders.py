"""Orders as a worker gives them, done in the test's own process."""

from pathlib import Path
from typing import Any

import pytest

from ppgssl.errors import PpgsslError
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.settings import Settings
from ppgssl.training.progress import Silent
from worker.kinds import KINDS, load_runner
from worker.order import Order
from worker.reporter import Stage


class Stages(Silent):
    """Keeps the stages that it is told."""

    def __init__(self) -> None:
        self.told: list[Stage] = []

    def stage(self, stage: Stage) -> None:
        self.told.append(stage)


def order_of(settings: Settings, kind: JobKind, config: dict[str, Any], dataset: str) -> Order:
    """What the worker would order, outside of any claim."""
    out = settings.artifact_root / "claim"
    out.mkdir()
    return Order(
        job_id="job_1",
        attempt=1,
        runner=KINDS[kind],
        config=config,
        dataset=dataset,
        data_root=str(settings.data_root),
        encoders=str(settings.kept_encoders),
        out=str(out),
        resume_from=None,
        device="cpu",
        parent_pid=0,
    )


def refusal(settings: Settings, kind: JobKind, config: dict[str, Any], dataset: str) -> PpgsslError:
    """The error with which a run of this order ends; it leaves no file."""
    order = order_of(settings, kind, config, dataset)
    with pytest.raises(PpgsslError) as refused:
        load_runner(order.runner)(order, Stages(), lambda: False)
    assert list(Path(order.out).iterdir()) == []
    return refused.value
