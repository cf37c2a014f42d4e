"""A run on the hosts of a Ray cluster (extra `ray`), by Ray Train.

    train_on_ray ◄── mailbox ◄── rank 0       Ray Train starts the processes, and all of them again
         └─────────► stop ─────► ...          from the last checkpoint where one or its host dies
                                 rank N - 1

Ray Train carries no data and no checkpoints: dataset and run folder lie on a file system that all
hosts share, and `last` in the run folder is what a run goes on from.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ppgssl.config import Config, build_config
from ppgssl.data.dataset import Dataset, open_dataset
from ppgssl.errors import ProcessLostError
from ppgssl.pools.on_ray import Needs, connected, needs_of, settle_in
from ppgssl.pools.pool import Workplace
from ppgssl.training.launch import MOST_RESTARTS, num_processes, read_result
from ppgssl.training.processes import BACKENDS, PATIENCE, Processes, named_process
from ppgssl.training.progress import Reporter, Silent
from ppgssl.training.telling import (
    Message,
    TellingReporter,
    describe_error,
    rebuild_error,
    retell,
)
from ppgssl.training.trainer import TrainingResult, check_fit, never, train

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
ASK_SECONDS = 0.5  # the first process asks this often whether it is to stop


class Mailbox:
    """What the first process tells, and what it is asked, on the way. Ray runs it as an actor."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._taken = 0
        self._starts = 0
        self._is_over = False
        self._is_stopped = False

    def start(self) -> int | None:
        """How often the processes were started before; None where the run is over."""
        self._starts += 1
        return None if self._is_over else self._starts - 1

    def tell(self, line: str) -> None:
        """Put a message in."""
        self._lines.append(line)

    def end(self, line: str) -> None:
        """Put the last message in: a result, or an error that would come again."""
        if not self._is_over:
            self._lines.append(line)
        self._is_over = True

    def take(self, taken: int) -> list[str]:
        """What came after the first `taken` messages, which have been dealt with."""
        self._taken = taken
        return self._lines[taken:]

    def is_empty(self) -> bool:
        """Whether everything has been dealt with."""
        return self._taken == len(self._lines)

    def stop(self) -> None:
        """Ask the run to stop at a checkpoint."""
        self._is_stopped = True

    def is_stopped(self) -> bool:
        """Whether it was asked to."""
        return self._is_stopped


@dataclass(frozen=True, slots=True)
class _Order:
    """What each process is told."""

    config: dict[str, Any]
    dataset: Path
    out: Path
    resume: bool
    needs: Needs
    mailbox: Any


def train_on_ray(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    address: str | None = None,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = never,
    resume: bool = False,
) -> TrainingResult:
    """Train as `train` does, on `training.devices` processes of a Ray cluster.

    Losses are those of one process, to rounding. Every process has a GPU, or a core where there are
    none or `device` is `cpu`.

    Args:
        config: `training.devices` may be `auto`: every GPU of the cluster.
        dataset: On a file system that all hosts share, as `out` is.
        out: Run folder.
        address: Of the cluster; `ppgssl.pools.on_ray.connected`.
        reporter: Is told, in this process.
        should_stop: Asked while the run lasts; once true, it writes `last` and ends.
        resume: Go on from `last`.

    Raises:
        ConfigError: More processes than micro-batches in a step, no Ray, or no such cluster.
        DeviceError: More processes than the cluster has GPUs.
        ProcessLostError: Processes died again and again; `last` stands.
        PpgsslError: What `train` raises, or a host that does not see the files.
    """
    check_fit(config, dataset)
    reporter = reporter or Silent()
    place = Workplace([], out, [dataset.path])
    with (
        connected(address) as ray,
        needs_of(place) as needs,
        TemporaryDirectory(prefix=".ray-", dir=out, ignore_cleanup_errors=True) as scratch,
    ):
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if config.device != "cpu" else 0
        count = num_processes(config, gpus)
        if (cpus := int(there.get("CPU", 0))) < count:
            reporter.warning(
                f"the Ray cluster has {cpus} CPUs and the run needs {count}: it waits for more"
            )
        mailbox = ray.remote(Mailbox).options(num_cpus=0).remote()
        order = _Order(
            config=config.model_dump(mode="json"),
            dataset=dataset.path.resolve(),
            out=out.resolve(),
            resume=resume,
            needs=needs,
            mailbox=mailbox,
        )
        trainer = _trainer(order, count, Path(scratch).resolve(), on_cuda=gpus > 0)
        return _follow(ray, trainer, mailbox, reporter, should_stop)


def _trainer(order: _Order, count: int, scratch: Path, *, on_cuda: bool) -> Any:
    ray_train: Any = import_module("ray.train")
    ray_torch: Any = import_module("ray.train.torch")
    return ray_torch.TorchTrainer(
        partial(_train_together, order),
        torch_config=ray_torch.TorchConfig(
            backend=BACKENDS["cuda" if on_cuda else "cpu"],
            timeout_s=int(PATIENCE.total_seconds()),
        ),
        scaling_config=ray_train.ScalingConfig(num_workers=count, use_gpu=on_cuda),
        run_config=ray_train.RunConfig(
            name="run",
            storage_path=str(scratch),
            failure_config=ray_train.FailureConfig(max_failures=MOST_RESTARTS),
            logging_config=ray_train.LoggingConfig(log_level="ERROR"),
        ),
    )


def _follow(
    ray: Any, trainer: Any, mailbox: Any, reporter: Reporter, should_stop: Callable[[], bool]
) -> TrainingResult:
    """Pass on what is told until the run has ended."""
    taken, asked = 0, False
    end: Message | None = None
    fitting = _begin(trainer.fit)
    is_done = False
    while not is_done:
        is_done = fitting.done()  # asked first: all has been told by then
        for line in ray.get(mailbox.take.remote(taken)):
            message = Message.read(line)
            if message.tells in {"result", "error"}:
                end = message
            else:
                retell(message, reporter)
            taken += 1
        if not asked and should_stop():
            asked = True
            mailbox.stop.remote()
        time.sleep(0.0 if is_done else LOOK_SECONDS)
    if end is not None and end.tells == "result":
        return read_result(end.content)
    if end is not None:
        raise rebuild_error(**end.content)
    try:
        fitting.result()
    except ray.train.TrainingFailedError as error:
        reason = str(error).splitlines()[0]
        raise ProcessLostError(
            f"processes were lost again and again ({reason}); resume the run from its last "
            "checkpoint"
        ) from error
    raise AssertionError("the processes ended well and told of no end")


def _begin(fit: Callable[[], object]) -> "Future[object]":
    """In a thread that nobody waits for where this one is interrupted."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(fit())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="ray-train", daemon=True).start()
    return future


def _train_together(order: _Order) -> None:
    """One of the processes, in a worker of Ray Train, which has let them meet."""
    ray: Any = import_module("ray")
    mailbox = order.mailbox
    try:
        processes = _this_process()
        starts = ray.get(mailbox.start.remote()) if processes.is_first else 0
        starts = processes.from_first(starts)
        if starts is None:
            return
        settle_in(order.needs)
        reporter = TellingReporter(mailbox.tell.remote, heard=partial(_wait, ray, mailbox))
        if processes.is_first and starts > 0:
            reporter.warning("a process was lost: all of them go on from the last checkpoint")
        result = train(
            build_config(order.config),
            open_dataset(order.dataset),
            order.out,
            reporter=reporter,
            should_stop=_Asking(ray, mailbox) if processes.is_first else never,
            resume=order.resume or starts > 0,
            processes=processes,
        )
        processes.any(False)  # who leaves early is missed by who is still writing
    except ProcessLostError:
        raise
    except Exception as error:
        ray.get(mailbox.end.remote(Message("error", describe_error(error)).text()))
        raise
    if processes.is_first:
        ray.get(mailbox.end.remote(Message("result", asdict(result)).text()))


def _this_process() -> Processes:
    """As Ray Train names it; which of the host's CUDA devices it has, Ray has settled."""
    this = named_process()
    if not torch.cuda.is_available() or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return this
    return Processes(this.rank, this.count, torch.cuda.current_device())


def _wait(ray: Any, mailbox: Any) -> None:
    while not ray.get(mailbox.is_empty.remote()):
        time.sleep(LOOK_SECONDS)


class _Asking:
    """Asks the mailbox now and then whether the run is to stop."""

    def __init__(self, ray: Any, mailbox: Any) -> None:
        self._ray = ray
        self._mailbox = mailbox
        self._asked_at = float("-inf")
        self._is_stopped = False

    def __call__(self) -> bool:
        if time.monotonic() >= self._asked_at + ASK_SECONDS:
            self._is_stopped = self._ray.get(self._mailbox.is_stopped.remote())
            self._asked_at = time.monotonic()
        return self._is_stopped
