"""How requests share batches: by cost, in turns, without those who left, without copies."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from api.encoder_process.batching import Batcher, Group, WindowKind
from api.encoder_process.messages import BatchDone
from ppgssl.inference.encoder import ONE_CORE_SAMPLES, Rows
from ppgssl.inference.granularity import Granularity


@dataclass(eq=False)
class GatedEncoder:
    """Says of each window its first sample; computes a batch of 100 samples when let."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[float]] = field(default_factory=list)
    seen: list[np.ndarray] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    error: Exception | None = None

    def cost(self, num_samples: int, fs_hz: float | None = None) -> int:
        return num_samples

    def windows_per_lane(self, num_samples: int, fs_hz: float | None = None) -> int:
        return max(1, 100 // num_samples)

    def embed_sound(self, windows: np.ndarray, fs_hz: float | None, granularity: str) -> Rows:
        self.begun.release()
        assert self.gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        self.seen.append(windows)
        self.threads.append(torch.get_num_threads())
        self.batches.append(windows[:, 0].tolist())
        return Rows(windows[:, None, :1], np.ones((len(windows), 1), np.float32))


@pytest.fixture
def encoder() -> GatedEncoder:
    return GatedEncoder()


@pytest.fixture
def told() -> list[BatchDone]:
    """What the batcher said of its batches."""
    return []


@pytest.fixture
def batcher(encoder: GatedEncoder, told: list[BatchDone]) -> Iterator[Batcher]:
    made = Batcher(1, told.append)
    yield made
    encoder.gate.release(1000)
    made.close()


def group(encoder: GatedEncoder, names: list[int], num_samples: int = 20) -> Group:
    windows = np.repeat(np.float32(names)[:, None], num_samples, axis=1)
    kind = WindowKind(encoder, num_samples, None, Granularity.WINDOW)  # pyright: ignore[reportArgumentType]
    return Group(kind, range(len(names)), windows)


def busy(batcher: Batcher, encoder: GatedEncoder) -> None:
    """The thread computes something, and what comes now has to wait."""
    batcher.submit(7, [group(encoder, [0])])
    assert encoder.begun.acquire(timeout=10)


def test_what_came_meanwhile_makes_one_batch_up_to_its_cost(batcher, encoder):
    busy(batcher, encoder)
    futures = [batcher.submit(7, [group(encoder, [name])]) for name in range(1, 8)]

    encoder.gate.release(3)
    results = [future.result(timeout=10) for future in futures]

    assert encoder.batches == [[0], [1, 2, 3, 4, 5], [6, 7]]
    assert [result[0].embedding[0, 0] for result in results] == [1, 2, 3, 4, 5, 6, 7]


def test_windows_of_other_lengths_wait_for_a_batch_of_their_own(batcher, encoder):
    busy(batcher, encoder)
    long = batcher.submit(7, [group(encoder, [1], 50)])
    short = batcher.submit(7, [group(encoder, [2]), group(encoder, [3], 50)])

    encoder.gate.release(3)

    assert long.result(timeout=10).keys() == {0}
    short.result(timeout=10)
    assert encoder.batches == [[0], [1, 3], [2]]


def test_a_request_of_many_windows_lets_others_have_their_turn(batcher, encoder):
    busy(batcher, encoder)
    many = batcher.submit(7, [group(encoder, list(range(10, 25)))])
    few = batcher.submit(7, [group(encoder, [1], 30)])

    encoder.gate.release(3)
    few.result(timeout=10)

    assert encoder.batches == [[0], [10, 11, 12, 13, 14], [1]]
    encoder.gate.release(2)
    assert many.result(timeout=10).keys() == set(range(15))


def test_the_windows_of_a_request_that_has_a_batch_to_itself_are_not_copied(batcher, encoder):
    one = group(encoder, list(range(10)))
    encoder.gate.release(2)

    batcher.submit(7, [one]).result(timeout=10)

    assert all(np.shares_memory(seen, one.windows) for seen in encoder.seen)


def test_a_request_whose_client_left_is_not_computed(batcher, encoder):
    busy(batcher, encoder)
    left = batcher.submit(7, [group(encoder, [1])])
    stays = batcher.submit(7, [group(encoder, [2])])

    left.cancel()
    encoder.gate.release(2)
    stays.result(timeout=10)

    assert encoder.batches == [[0], [2]]


def test_a_client_that_leaves_during_its_batch_harms_nobody(batcher, encoder):
    busy(batcher, encoder)
    left, stays = batcher.submit(7, [group(encoder, [1])]), batcher.submit(7, [group(encoder, [2])])
    encoder.gate.release()
    assert encoder.begun.acquire(timeout=10)

    left.cancel()
    encoder.gate.release()

    assert stays.result(timeout=10)[0].embedding[0, 0] == 2
    with pytest.raises(CancelledError):
        left.result()


def test_an_error_is_told_to_those_it_concerns_and_the_thread_lives_on(batcher, encoder):
    encoder.error = MemoryError("no room")
    encoder.gate.release()
    with pytest.raises(MemoryError, match="no room"):
        batcher.submit(7, [group(encoder, [1])]).result(timeout=10)

    encoder.error = None
    encoder.gate.release()

    assert batcher.submit(7, [group(encoder, [2])]).result(timeout=10)


def test_a_request_without_sound_windows_is_done_at_once(batcher):
    assert batcher.submit(7, []).result(timeout=10) == {}


def test_it_is_told_what_of_each_request_a_batch_has_computed(batcher, encoder, told):
    busy(batcher, encoder)
    batcher.submit(1, [group(encoder, [1, 2, 3])])
    last = batcher.submit(2, [group(encoder, [4, 5, 6])])
    encoder.gate.release(3)
    last.result(timeout=10)

    assert [batch.num_windows for batch in told] == [1, 5, 1]
    assert [batch.parts for batch in told] == [[(7, 20)], [(1, 60), (2, 40)], [(2, 20)]]
    assert all(batch.seconds > 0 for batch in told)


def test_lanes_share_what_waits_and_none_waits_for_another(encoder):
    batcher = Batcher(2, lambda _: None)
    busy(batcher, encoder)
    busy(batcher, encoder)
    futures = [batcher.submit(7, [group(encoder, [name])]) for name in range(1, 4)]

    encoder.gate.release()  # one lane goes on, the other computes still
    assert encoder.begun.acquire(timeout=10)
    encoder.gate.release(2)
    for future in futures:
        future.result(timeout=10)

    assert [0] in encoder.batches
    assert [1, 2, 3] in encoder.batches
    batcher.close()


def test_idle_lanes_get_equal_shares_of_one_request(encoder):
    batcher = Batcher(2, lambda _: None)
    future = batcher.submit(7, [group(encoder, [1, 2, 3, 4])])
    for _ in range(2):
        assert encoder.begun.acquire(timeout=10)

    encoder.gate.release(2)
    result = future.result(timeout=10)
    batcher.close()

    assert sorted(encoder.batches) == [[1, 2], [3, 4]]
    assert result.keys() == {0, 1, 2, 3}


def test_a_lone_long_window_is_computed_by_all_cores_and_two_by_a_lane_each(encoder):
    num_cores = torch.get_num_threads()
    long = ONE_CORE_SAMPLES + 1
    batcher = Batcher(2, lambda _: None)

    alone = batcher.submit(7, [group(encoder, [1], long)])
    encoder.gate.release()
    alone.result(timeout=10)
    both = batcher.submit(7, [group(encoder, [2, 3], long)])
    for _ in range(3):
        assert encoder.begun.acquire(timeout=10)
    encoder.gate.release(2)
    both.result(timeout=10)
    batcher.close()

    assert encoder.threads == [num_cores, 1, 1]


def test_whoever_waits_when_it_is_closed_has_no_answer(encoder):
    batcher = Batcher(1, lambda _: None)
    busy(batcher, encoder)
    waits = batcher.submit(7, [group(encoder, [1])])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    time.sleep(0.1)  # it is closed while the first batch is computed

    encoder.gate.release(2)
    closing.join(timeout=10)

    assert not waits.done()
    assert encoder.batches == [[0]]
