"""Simulated recordings as files, in the layout that `ppgssl prepare` reads.

One Parquet file per subject: recording_id, subject_id, fs_hz, ppg, 1 Hz labels (hr_bpm, resp_bpm,
artefact) and labels of the whole recording (rhythm, snr_db).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.errors import RecordingError
from ppgssl.signal.simulate import simulate_recording


def write_simulated(
    out: Path,
    *,
    subjects: int,
    minutes: float,
    fs_hz: float,
    seed: int,
    on_subject: Callable[[Path], None],
) -> list[Path]:
    """Write one file per subject; subject k depends on the seed and k alone.

    Args:
        out: Folder, made where it is missing.
        subjects: How many.
        minutes: Length of each recording.
        fs_hz: Sampling rate, Hz.
        seed: Of everything.
        on_subject: Called with each file once it is written.

    Raises:
        RecordingError: The folder cannot be written.
    """
    paths: list[Path] = []
    for number in range(subjects):
        path = out / f"sim-{number:04d}.parquet"
        unfinished = out / f".{path.name}.part"  # a run that is interrupted leaves no half a file
        recording = _recording_table(number, minutes, fs_hz, seed)
        try:
            out.mkdir(parents=True, exist_ok=True)
            pq.write_table(recording, unfinished, use_dictionary=False)
            unfinished.replace(path)
        except OSError as error:
            raise RecordingError(
                f"{out} cannot be written ({error.strerror}); choose another folder"
            ) from error
        paths.append(path)
        on_subject(path)
    return paths


def _recording_table(number: int, minutes: float, fs_hz: float, seed: int) -> pa.Table:
    simulated = simulate_recording(
        np.random.SeedSequence([seed, number]), minutes=minutes, fs_hz=fs_hz
    )
    subject = f"sim-{number:04d}"
    return pa.table(
        {
            "recording_id": [subject],
            "subject_id": [subject],
            "fs_hz": [fs_hz],
            "ppg": pa.array([simulated.signal], pa.list_(pa.float32())),
            "hr_bpm": pa.array([simulated.hr_bpm], pa.list_(pa.float32())),
            "resp_bpm": pa.array([simulated.resp_bpm], pa.list_(pa.float32())),
            "artefact": pa.array([simulated.artefact], pa.list_(pa.float32())),
            "rhythm": [simulated.rhythm],
            "snr_db": [simulated.snr_db],
        }
    )
