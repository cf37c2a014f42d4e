"""`ppgssl embed` on arrays, recordings and what cannot be embedded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ppgssl.data.schema import windows_table
from ppgssl.data.simulated import write_simulated
from ppgssl.data.writer import DatasetWriter
from ppgssl.inference.encoder import load_encoder


def embed(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ppgssl", "embed", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pulses(num_windows: int, samples: int = 1250) -> np.ndarray:
    t = np.arange(samples) / 125
    bpm = np.linspace(50, 110, num_windows)[:, None]
    return np.sin(2 * np.pi * bpm / 60 * t).astype(np.float32)


def test_an_array_of_windows_gives_a_row_per_window_in_order(encoder_folder, tmp_path):
    windows = pulses(30)
    np.save(tmp_path / "windows.npy", windows)
    out = tmp_path / "embeddings.parquet"

    done = embed(tmp_path / "windows.npy", "--encoder", encoder_folder, "--out", out, "--json")

    rows = pq.read_table(out)
    expected = load_encoder(encoder_folder).embed(windows)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["windows"] == 30
    np.testing.assert_allclose(
        np.stack(rows["embedding"].to_numpy()), expected.embedding, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(rows["quality"].to_numpy(), expected.quality, atol=1e-6)


def test_a_window_that_cannot_be_embedded_keeps_its_row_and_says_why(encoder_folder, tmp_path):
    windows = pulses(3)
    windows[1] = 5.0
    np.save(tmp_path / "windows.npy", windows)
    out = tmp_path / "embeddings.parquet"

    done = embed(tmp_path / "windows.npy", "--encoder", encoder_folder, "--out", out)

    rows = pq.read_table(out).to_pylist()
    assert done.returncode == 0, done.stderr
    assert [row["embedding"] is None for row in rows] == [False, True, False]
    assert rows[1]["fault"].startswith("flat")


def test_recordings_are_cut_into_the_encoder_s_windows(encoder_folder, tmp_path):
    write_simulated(
        tmp_path / "in", subjects=2, minutes=1, fs_hz=64, seed=0, on_subject=lambda _: None
    )
    out = tmp_path / "embeddings.parquet"

    done = embed(tmp_path / "in", "--encoder", encoder_folder, "--out", out)

    rows = pq.read_table(out)
    assert done.returncode == 0, done.stderr
    assert rows["recording_id"].to_pylist() == ["sim-0000"] * 6 + ["sim-0001"] * 6
    assert rows["start_s"].to_pylist()[:6] == [0, 10, 20, 30, 40, 50]


def test_the_windows_of_a_dataset_are_embedded_as_they_are_cut(encoder_folder, tmp_path):
    signal = pulses(3)
    rows = windows_table(
        signal=signal,
        denoised=signal,
        recording_ids=["a", "a", "b"],
        subject_ids=["s", "s", "t"],
        start_s=[0.0, 5.0, 2.5],
        valid_s=[10.0] * 3,
        sqi=[1.0] * 3,
    )
    with DatasetWriter(tmp_path / "made", fs_hz=125.0, window_samples=1250) as writer:
        writer.write(rows, "train")
        writer.finish()
    out = tmp_path / "embeddings.parquet"

    done = embed(tmp_path / "made", "--encoder", encoder_folder, "--out", out)

    written = pq.read_table(out)
    assert done.returncode == 0, done.stderr
    assert written["recording_id"].to_pylist() == ["a", "a", "b"]
    assert written["start_s"].to_pylist() == [0.0, 5.0, 2.5]
    np.testing.assert_allclose(
        np.stack(written["embedding"].to_numpy()),
        load_encoder(encoder_folder).embed(signal).embedding,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("source", "encoder", "message"),
    [
        ("absent.npy", None, "absent.npy"),
        ("windows.npy", "nowhere", "no encoder in nowhere"),
    ],
)
def test_bad_input_ends_with_one_line_and_exit_code_2(
    encoder_folder, tmp_path: Path, monkeypatch, source, encoder, message
):
    monkeypatch.chdir(tmp_path)
    np.save("windows.npy", pulses(1))

    done = embed(source, "--encoder", encoder or encoder_folder, "--out", "out.parquet")

    assert done.returncode == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert not Path("out.parquet").exists()
