"""What an inspection says of files whose content is known beforehand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from ppgssl.config import load_config
from ppgssl.data.prepare import PrepareSettings, prepare
from ppgssl.data.recordings import find_recordings
from ppgssl.errors import InputError, RecordingError
from ppgssl.inference.embedding_file import embeddings_schema
from ppgssl.inspection.description import Description, save_picture
from ppgssl.inspection.recognise import Asked, inspect
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.training.checkpoint import serialise, write_checkpoint
from ppgssl.training.history import History
from ppgssl.training.progress import LossPoint

FS_HZ = 64.0
AT_64_HZ = Asked(fs_hz=FS_HZ)


def pulse(seconds: float, bpm: float) -> np.ndarray:
    """A clean pulse wave: a beat and its first harmonic."""
    beat = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return (np.sin(beat) + 0.4 * np.sin(2 * beat + 0.7)).astype(np.float32)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A minute of 72 bpm, of which ten seconds are missing."""
    signal = pulse(60, bpm=72)
    signal[: round(10 * FS_HZ)] = np.nan
    np.save(tmp_path / "minute.npy", signal)
    return tmp_path / "minute.npy"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Windows of ten seconds of three people, with a rate and a ward."""
    for name, bpm in (("ann", 60), ("bob", 80), ("cy", 100)):
        np.savez(
            tmp_path / f"{name}.npz",
            **{"ppg": pulse(40, bpm), "fs_hz": FS_HZ, "subject_id": name},
            **{"hr_bpm": float(bpm), "ward": "icu" if name == "ann" else "home"},
        )
    found = find_recordings([tmp_path])
    settings = PrepareSettings(window_seconds=10, hop_seconds=None, fs_hz=FS_HZ, seed=0)
    prepare(found.refs, tmp_path / "dataset", settings, workers=1, progress=lambda at: None)
    return tmp_path / "dataset"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder after two epochs of two steps."""
    config = load_config("small", ["model.base_filters=4", "model.max_filters=16"])
    history = History()
    for step, split, total in ((1, "train", 4.0), (2, "train", 3.0), (2, "val", 3.5)):
        history.extend([LossPoint(step, 1, split, {"total": total, "effective_rank": 7.0})])
    history.extend([LossPoint(4, 2, "val", {"total": 2.5, "effective_rank": 8.0})])
    files = serialise(
        build_autoencoder(config),
        config,
        history,
        {},
        preprocessing={},
        training={"epoch": 2, "step": 4, "val_loss": 2.5},
    )
    write_checkpoint(tmp_path / "run", 4, files, ["best", "last"])
    return tmp_path / "run"


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Four windows on a line, and one that was refused."""
    rows = [
        {"recording_id": "a" if n < 3 else "b", "start_s": 10.0 * n, "embedding": [float(n), 0.0],
         "quality": 0.5, "fault": None}
        for n in range(4)
    ]  # fmt: skip
    refused = {"recording_id": "b", "start_s": 40.0, "quality": None, "fault": "flat: no pulse"}
    table = pa.Table.from_pylist([*rows, refused], schema=embeddings_schema(2, "cafe"))
    pq.write_table(table, tmp_path / "embeddings.parquet")
    return tmp_path / "embeddings.parquet"


def sheet(description: Description, title: str) -> list[dict]:
    [found] = [sheet for sheet in description.sheets if sheet.title == title]
    return found.records()


def test_a_recording_is_measured_without_what_is_missing(recording: Path):
    [row] = sheet(inspect(str(recording), AT_64_HZ), "recordings")

    assert (row["format"], row["fs_hz"], row["seconds"]) == ("numpy", 64, 60)
    assert row["missing"] == pytest.approx(10 / 60)
    assert row["usable"] == pytest.approx(5 / 6)
    assert row["pulse_bpm"] == pytest.approx(72, abs=1)
    assert row["quality"] > 0.9


def test_a_recording_without_a_usable_piece_has_no_pulse(tmp_path: Path):
    np.save(tmp_path / "flat.npy", np.ones(2000, np.float32))

    description = inspect(str(tmp_path / "flat.npy"), AT_64_HZ)

    [row] = sheet(description, "recordings")
    assert (row["usable"], row["quality"], row["pulse_bpm"]) == (0, None, None)
    with pytest.raises(InputError, match="no usable recording to draw"):
        description.draw(Figure())


def test_of_many_recordings_the_first_are_measured_and_what_is_none_is_named(tmp_path: Path):
    for name in ("a", "b", "c"):
        np.save(tmp_path / f"{name}.npy", pulse(12, bpm=60))
    (tmp_path / "notes.doc").write_text("no recording")
    told: list[int] = []

    description = inspect(str(tmp_path), Asked(fs_hz=FS_HZ, limit=2), told.append)

    assert [row["recording"] for row in sheet(description, "recordings")] == ["a", "b"]
    assert description.facts["recordings"] == 3
    assert [Path(row["file"]).name for row in sheet(description, "skipped")] == ["notes.doc"]
    assert told == [2, 2]


def test_a_dataset_is_counted_by_split_and_label(dataset: Path):
    description = inspect(str(dataset), Asked())

    splits, labels = sheet(description, "splits"), sheet(description, "labels")
    by_name = {row["label"]: row for row in labels}
    assert description.kind == "dataset"
    assert description.facts["windows"] == 12
    assert sum(row["windows"] for row in splits) == 12
    assert sum(row["subjects"] for row in splits) == 3
    assert (by_name["hr_bpm"]["least"], by_name["hr_bpm"]["most"]) == (60, 100)
    assert by_name["ward"]["classes"] == 2


def test_a_run_is_told_by_its_checkpoints_and_validations(run: Path):
    description = inspect(str(run), Asked())

    best, last = sheet(description, "checkpoints")
    assert (best["name"], last["name"]) == ("best", "last")
    assert (best["epoch"], best["step"], best["val_loss"]) == (2, 4, 2.5)
    assert [row["total"] for row in sheet(description, "validations")] == [3.5, 2.5]
    assert description.facts["embedding_dim"] == 512


def test_the_parameters_of_an_encoder_are_counted(run: Path):
    model = build_autoencoder(
        load_config("small", ["model.base_filters=4", "model.max_filters=16"])
    )

    counted = inspect(str(run), Asked()).facts["parameters"]

    assert counted == sum(tensor.numel() for tensor in model.encoder.state_dict().values())


def test_the_default_encoder_is_inspected_by_its_name_and_has_no_losses_to_draw():
    description = inspect("default", Asked())

    assert description.kind == "checkpoint"
    with pytest.raises(InputError, match="no loss history"):
        description.draw(Figure())


def test_embeddings_are_counted_and_their_directions_too(embeddings: Path):
    description = inspect(str(embeddings), Asked())

    facts = description.facts
    assert (facts["windows"], facts["refused"], facts["recordings"]) == (5, 1, 2)
    assert (facts["embedding_dim"], facts["encoder_sha256"]) == (2, "cafe")
    assert facts["effective_rank"] == pytest.approx(1)
    assert sheet(description, "refused") == [{"reason": "flat", "windows": 1}]
    assert sheet(description, "recordings") == [
        {"recording": "a", "windows": 3, "mean quality": 0.5},
        {"recording": "b", "windows": 1, "mean quality": 0.5},
    ]


@pytest.mark.parametrize("what", ["recording", "dataset", "run", "embeddings"])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_each_kind_can_be_drawn(
    what: str, suffix: str, request: pytest.FixtureRequest, tmp_path: Path
):
    path: Path = request.getfixturevalue(what)
    file = tmp_path / f"picture.{suffix}"

    save_picture(inspect(str(path), AT_64_HZ if what == "recording" else Asked()), file)

    start = file.read_bytes()[:5]
    assert start == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


def test_a_picture_of_an_unknown_format_is_refused(embeddings: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a name that ends in .*png"):
        save_picture(inspect(str(embeddings), Asked()), tmp_path / "picture.doc")


def test_what_is_not_there_is_said_to_be_so(tmp_path: Path):
    with pytest.raises(RecordingError, match="does not exist"):
        inspect(str(tmp_path / "absent"), Asked())


def test_an_encoder_whose_weights_are_cut_off_is_an_error_in_one_line(run: Path):
    weights = run / "best" / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])

    with pytest.raises(InputError, match="cannot be read"):
        inspect(str(run), Asked())
