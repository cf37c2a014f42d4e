"""The kind `pretrain`: one training run on a dataset folder."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.config import build_config
from ppgssl.data.dataset import open_dataset, resolve_dataset
from ppgssl.errors import DatasetError
from ppgssl.training.checkpoint import HISTORY_FILE
from ppgssl.training.history import History
from ppgssl.training.progress import Reporter
from ppgssl.training.trainer import train
from worker.order import Order

POINTS_PER_MESSAGE = 1000


def run(order: Order, reporter: Reporter, should_stop: Callable[[], bool]) -> str:
    """Train until the end or until asked to stop; continue from `last` where there is one.

    Raises:
        PpgsslError: What `train` raises, and DatasetError where the dataset cannot be opened.
    """
    config = build_config(order.config)
    if config.device == "auto":
        config = config.model_copy(update={"device": order.device})
    if order.dataset is None:
        raise DatasetError("a pretrain job needs a dataset; name a folder of the data root")
    dataset = open_dataset(resolve_dataset(Path(order.data_root), order.dataset))
    retell_history(Path(order.out) / "last" / HISTORY_FILE, order.known_step, reporter)
    result = train(
        config,
        dataset,
        Path(order.out),
        reporter=reporter,
        should_stop=should_stop,
        resume=True,
    )
    return result.stop_reason


def retell_history(file: Path, known_step: int, reporter: Reporter) -> None:
    """Tell the losses of a checkpoint that the job table may lack.

    A worker that is killed takes with it what it had not written yet, while the checkpoint is
    further: without this the history would have a gap. What is known already is told in vain.
    """
    try:
        history = History.from_table(pq.read_table(file))
    except (FileNotFoundError, pa.ArrowException):
        return  # no checkpoint yet, or a damaged one, of which `train` says more
    points = [point for point in history if point.step >= known_step]
    for start in range(0, len(points), POINTS_PER_MESSAGE):
        reporter.losses(points[start : start + POINTS_PER_MESSAGE])
