"""The kind `pretrain`: one training run on a dataset folder."""

from collections.abc import Callable
from pathlib import Path

from ppgssl.config import build_config
from ppgssl.data.dataset import open_dataset, resolve_dataset
from ppgssl.errors import DatasetError
from ppgssl.training.fitting import train_within_memory
from ppgssl.training.progress import Reporter
from worker.order import Order


def run(order: Order, reporter: Reporter, should_stop: Callable[[], bool]) -> str:
    """Train until the end or until asked to stop, from the job's last checkpoint if it has one.

    Checkpoints that newer ones replace are left to the worker: until it has told the job table of
    the newer one, another worker may have to continue from the older.

    Raises:
        PpgsslError: What `train` raises, and DatasetError where the dataset cannot be opened.
    """
    config = build_config(order.config)
    if config.device == "auto":
        config = config.model_copy(update={"device": order.device})
    if order.dataset is None:
        raise DatasetError("a pretrain job needs a dataset; name a folder of the data root")
    result = train_within_memory(
        config,
        open_dataset(resolve_dataset(Path(order.data_root), order.dataset)),
        Path(order.out),
        reporter=reporter,
        should_stop=should_stop,
        resume_from=None if order.resume_from is None else Path(order.resume_from),
        keep_replaced=True,
    )
    return result.stop_reason
