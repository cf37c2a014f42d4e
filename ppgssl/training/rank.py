"""One of several processes that train together on this host: `python -m ppgssl.training.rank FD`.

`launch.py` starts it, with its order as the first line of stdin; what it tells goes to the
inherited file descriptor FD. SIGTERM asks the run to stop at a checkpoint; it dies with its parent.
"""

import json
import logging
import os
import sys
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ppgssl.child_process import EXIT_FAILED, die_with_parent
from ppgssl.config import build_config
from ppgssl.data.dataset import open_dataset
from ppgssl.training.interrupt import stop_on_signals
from ppgssl.training.processes import joined_processes
from ppgssl.training.telling import TellingReporter, describe_error
from ppgssl.training.trainer import TrainingResult, train


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """What to train; paths are text, so that the whole of it is JSON."""

    config: dict[str, Any]
    dataset: str
    out: str
    resume: bool
    resume_from: str | None
    keep_replaced: bool
    log_level: int
    parent_pid: int

    def to_go_on(self) -> "TrainingOrder":
        """The same from `last` in `out`, where there is one by now."""
        return replace(self, resume=True)

    def line(self) -> str:
        """As one line of JSON, with its end."""
        return json.dumps(asdict(self)) + "\n"


def main() -> None:
    """Train and exit: 0 with the result told, 1 with an error told."""
    order = TrainingOrder(**json.loads(sys.stdin.readline()))
    die_with_parent(order.parent_pid)
    is_first = os.environ["RANK"] == "0"
    level = order.log_level if is_first else max(order.log_level, logging.WARNING)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", buffering=1) as pipe:
        reporter = TellingReporter(pipe.write, heard=_wait_for_a_line)
        try:
            result = do(order, reporter)
        except Exception as error:
            traceback.print_exc()
            reporter.tell("error", describe_error(error))
            sys.exit(EXIT_FAILED)
        reporter.tell("result", asdict(result))


def do(order: TrainingOrder, reporter: TellingReporter) -> TrainingResult:
    """Train together with the others."""
    config = build_config(order.config)
    with stop_on_signals() as should_stop, joined_processes(config.device) as processes:
        return train(
            config,
            open_dataset(Path(order.dataset)),
            Path(order.out),
            reporter=reporter,
            should_stop=should_stop,
            resume=order.resume,
            resume_from=None if order.resume_from is None else Path(order.resume_from),
            keep_replaced=order.keep_replaced,
            processes=processes,
        )


def _wait_for_a_line() -> None:
    sys.stdin.readline()


if __name__ == "__main__":
    main()
