"""A real worker whose jobs of the kind `embed` take a part per recording, slowly enough to be met.

As a module it is the run of such a job: the real one, with small parts.
"""

import time
from collections.abc import Callable
from typing import Any

from ppgssl.jobs.settings import Settings
from worker.main import serve
from worker.order import Order
from worker.reporter import RunReporter

PART_S = 0.15


def run(order: Order, reporter: RunReporter, should_stop: Callable[[], bool]) -> str:
    """The real run, a part per recording."""
    from ppgssl.inference import bulk
    from ppgssl.inference.bulk_parts import Parts
    from worker import embed

    real = Parts.add

    def slowly(*arguments: Any) -> None:
        real(*arguments)
        time.sleep(PART_S)

    Parts.add = slowly
    bulk.PART_SAMPLES = 1
    return embed.run(order, reporter, should_stop)


if __name__ == "__main__":
    serve(Settings(), kinds={"embed": "part_by_part:run"})
