"""Processes share the micro-batches of each step, and read no others where they can."""

from collections.abc import Iterator

import numpy as np
import pytest
from runs import pulse_dataset, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.data.plain_windows import PlainWindows
from ppgssl.training.micro_batches import StepBatches, read_steps
from ppgssl.training.processes import Processes

FOUR_A_STEP = ("training.batch_size=2", "training.accumulation_steps=4")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """22 windows in micro-batches of 2, four a step: the last step has three of them."""
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses", train=22, val=0)


def steps(dataset: Dataset, processes: Processes, start_batch: int = 0) -> Iterator[StepBatches]:
    return read_steps(
        dataset.split("train"),
        tiny_config(*FOUR_A_STEP),
        epoch=0,
        start_batch=start_batch,
        processes=processes,
    )


def ids(step: StepBatches) -> list[tuple[int, list[int]]]:
    return [(number, batch.window_id.tolist()) for number, batch in step.own]


@pytest.mark.parametrize("start_batch", [0, 4, 8])
@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_together_processes_have_each_step_s_micro_batches_in_order(dataset, count, start_batch):
    alone = list(steps(dataset, Processes(), start_batch))

    together = [list(steps(dataset, Processes(k, count), start_batch)) for k in range(count)]

    assert [number for step in alone for number, _ in step.own] == list(range(start_batch, 11))
    for step, shares in zip(alone, zip(*together, strict=True), strict=True):
        assert [batch for share in shares for batch in ids(share)] == ids(step)
        assert {(share.num_windows, share.count) for share in shares} == {
            (sum(len(batch) for _, batch in step.own), len(step.own))
        }


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_process_reads_the_rows_that_it_computes_and_no_others(dataset, count, monkeypatch):
    read: list[int] = []
    read_rows = PlainWindows.read_rows

    def noted(source: PlainWindows, rows: np.ndarray):
        read.extend(rows.tolist())
        return read_rows(source, rows)

    monkeypatch.setattr(PlainWindows, "read_rows", noted)
    everybody: list[int] = []
    for rank in range(count):
        read.clear()
        computed = [row for step in steps(dataset, Processes(rank, count)) for _, row in ids(step)]

        assert read == [row for rows in computed for row in rows]  # windows are numbered from 0
        everybody += read
    assert sorted(everybody) == list(range(22))
