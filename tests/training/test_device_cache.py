"""`data.device_cache`: the same batches and losses from a copy on the device, or a clear refusal.

The device is the CPU, which holds a copy like any other.
"""

import numpy as np
import pytest
import torch
from runs import Recorded, history, pulse_dataset, stop_after, tiny_config

from ppgssl.data.dataset import Dataset
from ppgssl.data.plain_windows import PlainWindows
from ppgssl.data.windows import Windows
from ppgssl.errors import ConfigError
from ppgssl.training import device_cache, window_feed
from ppgssl.training.device_cache import DeviceCache, does_fit, free_memory, is_wanted
from ppgssl.training.trainer import train

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CACHED = "data.device_cache=true"
BUFFER_MB = 0.008  # seven of the 22 windows: their order is made of several blocks


pytestmark = pytest.mark.usefixtures("unchecked_shapes")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return pulse_dataset(tmp_path_factory.mktemp("data") / "pulses")


@pytest.fixture
def small_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 22 windows are copied in six pieces of at most four."""
    monkeypatch.setattr(device_cache, "FILL_BYTES", 4 * 1024)


def filled(windows: Windows) -> DeviceCache:
    cache = DeviceCache(windows, CPU)
    assert list(cache.fill(buffer_mb=BUFFER_MB, read_ahead=0))[-1] == len(windows)
    return cache


@pytest.mark.usefixtures("small_copies")
@pytest.mark.parametrize(("start_batch", "every"), [(0, 1), (2, 1), (1, 3)])
def test_the_batches_are_those_of_the_host(dataset, start_batch: int, every: int):
    windows = dataset.split("train")
    asked = {
        "seed": 5,
        "epoch": 3,
        "start_batch": start_batch,
        "every": every,
        "buffer_mb": BUFFER_MB,
        "read_ahead": 0,
    }

    of_host = list(windows.batches(4, **asked))
    of_device = list(filled(windows).batches(4, **asked))

    assert len(of_device) == len(of_host) > 0
    for held, read in zip(of_device, of_host, strict=True):
        np.testing.assert_array_equal(held.signal.numpy(), read.signal)
        np.testing.assert_array_equal(held.denoised.numpy(), read.denoised)


@pytest.mark.usefixtures("small_copies")
def test_losses_and_weights_are_those_of_a_run_fed_from_the_host(dataset, tmp_path):
    told = Recorded()

    train(tiny_config(), dataset, tmp_path / "host")
    train(tiny_config(CACHED), dataset, tmp_path / "device", reporter=told)

    assert history(tmp_path / "device") == history(tmp_path / "host")
    host, device = (
        (tmp_path / run / "last/model.safetensors").read_bytes() for run in ("host", "device")
    )
    assert device == host
    assert told.notes == [
        "22 training windows (0.02 MB) lie on cpu: nothing more is read of them (data.device_cache)"
    ]


def test_after_the_copy_no_training_window_is_read(dataset, tmp_path, monkeypatch):
    class Forgets(Recorded):
        def note(self, message: str) -> None:
            super().note(message)
            read.clear()

    def noted(source: PlainWindows, rows: np.ndarray):
        batch = read_rows(source, rows)
        read.extend(batch.window_id.tolist())
        return batch

    read: list[int] = []
    told = Forgets()
    read_rows = PlainWindows.read_rows
    monkeypatch.setattr(PlainWindows, "read_rows", noted)

    train(tiny_config(CACHED), dataset, tmp_path, reporter=told)

    assert len(told.notes) == 1
    assert min(read) >= 22  # the training windows are numbered first


@pytest.mark.parametrize("stopped_after", [1, 2, 4])
@pytest.mark.parametrize("resumed", ["data.device_cache=true", "data.device_cache=false"])
def test_a_run_resumes_in_the_middle_of_an_epoch_with_or_without(
    dataset, tmp_path, stopped_after: int, resumed: str
):
    train(tiny_config(), dataset, tmp_path / "whole")

    train(tiny_config(CACHED), dataset, tmp_path / "parts", should_stop=stop_after(stopped_after))
    train(tiny_config(resumed), dataset, tmp_path / "parts", resume=True)

    assert history(tmp_path / "parts") == history(tmp_path / "whole")


@pytest.mark.usefixtures("small_copies")
def test_a_run_can_be_stopped_while_windows_are_copied(dataset, tmp_path):
    told = Recorded()

    result = train(tiny_config(CACHED), dataset, tmp_path, reporter=told, should_stop=stop_after(3))

    assert (result.stop_reason, result.step) == ("stopped", 1)
    assert told.notes == []


@pytest.mark.usefixtures("small_copies")
def test_a_long_copy_says_how_far_it_is(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(window_feed, "NOTE_SECONDS", 0.0)
    told = Recorded()

    train(tiny_config(CACHED, "training.epochs=1"), dataset, tmp_path, reporter=told)

    assert told.notes[0] == "4 of 22 training windows copied to cpu"


def test_windows_that_have_to_fit_and_do_not_are_an_error_with_both_sizes(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(window_feed, "free_memory", lambda device, sharing: 10_000)

    with pytest.raises(
        ConfigError, match=r"data\.device_cache.* 0\.02 MB, more than 90% of the 0\.01 MB"
    ):
        train(tiny_config(CACHED), dataset, tmp_path)


def test_where_windows_do_not_fit_auto_reads_them_as_before_and_says_so(
    dataset, tmp_path, monkeypatch
):
    train(tiny_config(), dataset, tmp_path / "host")
    monkeypatch.setattr(window_feed, "is_wanted", lambda wish, device, epochs_left: True)
    monkeypatch.setattr(window_feed, "free_memory", lambda device, sharing: 40_000)
    told = Recorded()

    train(tiny_config(), dataset, tmp_path / "short", reporter=told)

    assert history(tmp_path / "short") == history(tmp_path / "host")
    [note] = told.notes
    assert "they are read in every epoch" in note


@pytest.mark.parametrize(
    ("wish", "device", "epochs_left", "wanted"),
    [
        ("auto", CUDA, 2, True),
        ("auto", CUDA, 1, False),  # a copy would read the windows once more than without
        ("auto", CPU, 9, False),
        (True, CPU, 1, True),
        (False, CUDA, 9, False),
    ],
)
def test_auto_wants_a_copy_on_cuda_that_will_be_used_again(wish, device, epochs_left, wanted):
    assert is_wanted(wish, device, epochs_left=epochs_left) is wanted


@pytest.mark.parametrize(
    ("wish", "free", "fits"),
    [("auto", 200, True), ("auto", 199, False), (True, 112, True), (True, 111, False)],
)
def test_auto_leaves_half_of_the_free_memory_and_true_a_tenth(wish, free: int, fits: bool):
    assert does_fit(wish, 100, free) is fits


def test_memory_that_nobody_knows_is_taken_for_enough():
    assert does_fit("auto", 100, None)


def test_a_cuda_device_is_asked_and_a_cpu_s_memory_is_shared(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30, 80))
    monkeypatch.setattr(device_cache, "available_memory", lambda: 90)

    assert (free_memory(CUDA, 3), free_memory(CPU, 3)) == (30, 30)
