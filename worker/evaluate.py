"""The kind `evaluate`: a frozen encoder probed on a labelled dataset folder.

Nothing is kept between attempts: a run that was stopped or died begins anew. The report appears as
a whole once the evaluation is done, or not at all.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ppgssl.data.dataset import open_dataset, resolve_dataset
from ppgssl.errors import DatasetError
from ppgssl.evaluation.evaluate import evaluate
from ppgssl.evaluation.labelled import LabelledWindows, collect
from ppgssl.evaluation.report import write_report
from ppgssl.evaluation.results import Evaluation
from ppgssl.evaluation.settings import EvaluationSettings
from ppgssl.jobs.kinds import REPORT_FOLDER
from worker.kept_encoders import load_kept
from worker.kinds import COMPLETED, STOPPED
from worker.order import Order
from worker.reporter import RunReporter, Stage

log = logging.getLogger(__name__)

STEPS = 100  # of progress: per cent


class _StopRequestedError(Exception):
    """The run was asked to stop."""


def run(order: Order, reporter: RunReporter, should_stop: Callable[[], bool]) -> str:
    """Evaluate the encoders that were settled on submission, and leave the report.

    Raises:
        PpgsslError: Dataset or encoder cannot be used, or a label cannot be probed.
    """

    def tell(stage: str, share: float) -> None:
        if should_stop():
            raise _StopRequestedError
        log.info("%s", stage)
        reporter.stage(Stage(stage, round(STEPS * share), STEPS))

    try:
        tell("reading the dataset", 0.0)
        evaluation = evaluate(
            load_kept(order, order.config["encoder"]),
            read_windows(order),
            settings_of(order.config),
            beside={
                name: load_kept(order, encoder)
                for name, encoder in order.config["encoders_beside"].items()
            },
            progress=tell,
        )
    except _StopRequestedError:
        return STOPPED
    warn(evaluation, reporter)
    publish_report(evaluation, Path(order.out))
    return COMPLETED


def read_windows(order: Order) -> LabelledWindows:
    """The dataset's windows as they are cut.

    Raises:
        DatasetError: The dataset is missing or damaged.
    """
    if order.dataset is None:
        raise DatasetError("an evaluate job needs a dataset; name a folder of the data root")
    return collect(open_dataset(resolve_dataset(Path(order.data_root), order.dataset)))


def settings_of(config: Mapping[str, Any]) -> EvaluationSettings:
    """What of a job's config is the evaluation's own."""
    known = EvaluationSettings.model_fields
    return EvaluationSettings.model_validate({name: config[name] for name in known & config.keys()})


def warn(evaluation: Evaluation, reporter: RunReporter) -> None:
    """Say on the job what its report lacks."""
    refused = evaluation.data.refused
    if refused:
        reporter.warning(f"{refused} windows were left out: they are flat or not finite")
    for reference in evaluation.missing:
        reporter.warning(f"the report lacks a reference: {reference}")


def publish_report(evaluation: Evaluation, out: Path) -> None:
    """Write the report beside its place, then move it there."""
    with TemporaryDirectory(prefix=".report-", dir=out) as scratch:
        written = Path(scratch) / REPORT_FOLDER
        written.mkdir()
        write_report(evaluation, written)
        written.rename(out / REPORT_FOLDER)
