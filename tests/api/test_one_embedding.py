"""The same window has the same embedding, from whichever door it is asked."""

import base64
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from live_service import Service

from ppgssl.inference.encoder import load_encoder

RAW = "application/octet-stream"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}

Trained = tuple[Service, str]


def windows_at(fs_hz: float) -> np.ndarray:
    t = np.arange(round(12 * fs_hz)) / fs_hz
    bpm = np.linspace(50, 110, 3)[:, None]
    noise = np.random.default_rng(0).normal(scale=0.1, size=(3, len(t)))
    return (1000 + 30 * (np.sin(2 * np.pi * bpm / 60 * t) + noise)).astype("<f4")


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def arrow_bytes(array: np.ndarray) -> bytes:
    table, sink = pa.table({"signal": array.tolist()}), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def by_library(folder: Path, windows: np.ndarray, fs_hz: float, granularity: str) -> np.ndarray:
    encoder = load_encoder(folder)
    if granularity == "segment":
        return encoder.embed_segments(windows, fs_hz).embedding.reshape(-1, 512)
    return encoder.embed(windows, fs_hz).embedding


def by_command(
    folder: Path, windows: np.ndarray, fs_hz: float, granularity: str, tmp: Path
) -> np.ndarray:
    np.save(tmp / "windows.npy", windows)
    out = tmp / "embeddings.parquet"
    command = [sys.executable, "-m", "ppgssl", "embed", str(tmp / "windows.npy")]
    options = ["--encoder", str(folder), "--out", str(out), "--fs", str(fs_hz)]
    subprocess.run([*command, *options, "--granularity", granularity], check=True)
    return np.stack(pq.read_table(out)["embedding"].to_numpy())


BODIES: dict[str, Callable[[np.ndarray], bytes]] = {
    RAW: lambda windows: windows.tobytes(),
    NPY: npy_bytes,
    ARROW: arrow_bytes,
}


def by_service(trained: Trained, windows: np.ndarray, **asked: Any) -> dict[str, np.ndarray]:
    service, model = trained
    found: dict[str, np.ndarray] = {}
    for body_type, body in BODIES.items():
        for accept in (RAW, NPY, ARROW):
            answer = service.http.post(
                "/v1/embeddings",
                params={"model": model, "windows": len(windows), **asked},
                content=body(windows),
                headers={"Content-Type": body_type, "Accept": accept},
            )
            found[f"{body_type} to {accept}"] = decoded(answer.content, accept)
    for encoding in ("float", "base64"):
        texts = [base64.b64encode(window.tobytes()).decode() for window in windows]
        for given in (windows.tolist(), texts):
            body = {"model": model, "input": given, "encoding_format": encoding, **asked}
            items = service.http.post("/v1/embeddings", json=body).json()["data"]
            found[f"JSON to {encoding}, {type(given[0])}"] = np.stack(
                [number_row(item["embedding"]) for item in items]
            )
    return found


def decoded(content: bytes, kind: str) -> np.ndarray:
    if kind == RAW:
        return np.frombuffer(content, "<f4").reshape(-1, 512)
    if kind == NPY:
        return np.load(io.BytesIO(content))
    return np.stack(pa.ipc.open_stream(content).read_all()["embedding"].to_numpy())


def number_row(embedding: list[float] | str) -> np.ndarray:
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4")
    return np.float32(embedding)


@pytest.mark.parametrize(("fs_hz", "granularity"), [(125, "window"), (64, "segment")])
def test_library_command_and_every_wire_format_agree_to_float32_rounding(
    trained: Trained, best_folder: Path, tmp_path: Path, fs_hz: float, granularity: str
):
    windows = windows_at(fs_hz)

    expected = by_library(best_folder, windows, fs_hz, granularity)

    assert expected.shape == (3 if granularity == "window" else 3 * 6, 512)
    command = by_command(best_folder, windows, fs_hz, granularity, tmp_path)
    np.testing.assert_allclose(command, expected, **ROUNDING)
    found = by_service(trained, windows, fs_hz=fs_hz, granularity=granularity)
    assert len(found) == 13
    for path, embedding in found.items():
        np.testing.assert_allclose(embedding, expected, **ROUNDING, err_msg=path)
