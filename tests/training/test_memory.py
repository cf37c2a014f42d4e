"""Host memory of a training run does not grow with the dataset.

Of memory that is no file's: what is mapped of the dataset counts as resident, and the system takes
it back when it needs it.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loader import anonymous_bytes
from ppgssl.data.schema import windows_table
from ppgssl.data.writer import DatasetWriter

WINDOW_SAMPLES = 75_000
TRAIN = """
import sys
from pathlib import Path
from ppgssl.config import load_config
from ppgssl.data.dataset import open_dataset
from ppgssl.training.trainer import train
config = load_config("as_drawn", [  # the cheapest: reading is what is measured
    "model.base_filters=2", "model.max_filters=8", "training.epochs=1", "device=cpu",
])
train(config, open_dataset(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def write_windows(out: Path, count: int) -> Path:
    generator = np.random.default_rng(0)
    writer = DatasetWriter(out, fs_hz=125.0, window_samples=WINDOW_SAMPLES)
    with writer:
        for start in range(0, count, 20):
            signal = generator.normal(size=(20, WINDOW_SAMPLES)).astype(np.float32)
            rows = windows_table(
                signal=signal,
                denoised=signal,
                recording_ids=[f"r{start + i}" for i in range(20)],
                subject_ids=[f"s{start + i}" for i in range(20)],
                start_s=np.zeros(20),
                valid_s=np.full(20, 600.0),
                sqi=np.ones(20),
            )
            writer.write(rows, "val" if start == 0 else "train")
        writer.finish()
    return out


def peak_bytes(dataset: Path, out: Path) -> int:
    peak = 0
    with subprocess.Popen([sys.executable, "-c", TRAIN, str(dataset), str(out)]) as training:
        while training.poll() is None:
            peak = max(peak, anonymous_bytes(str(training.pid)))
            time.sleep(0.02)
    assert training.returncode == 0
    return peak


@pytest.mark.slow
def test_fifteen_times_the_windows_need_no_more_than_a_tenth_of_them_more(tmp_path):
    few = peak_bytes(write_windows(tmp_path / "few", 100), tmp_path / "run-few")
    many = peak_bytes(write_windows(tmp_path / "many", 1_500), tmp_path / "run-many")

    more_bytes = 1_400 * 2 * 4 * WINDOW_SAMPLES
    assert many - few < more_bytes / 10
