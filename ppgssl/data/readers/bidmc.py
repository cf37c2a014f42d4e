"""The files that come with a recording of BIDMC in CSV: vital signs, and who it was.

bidmc_01_Signals.csv     the recording itself, read as any table
bidmc_01_Numerics.csv    vital signs, one row per second: label tracks
bidmc_01_Fix.txt         age, sex, ward, and the patient's id in MIMIC II
bidmc_01_Breaths.csv     sample numbers of breaths: not read
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from ppgssl.data.readers.naming import plain
from ppgssl.data.readers.values import as_label, as_track
from ppgssl.data.recordings import LabelTrack

SIGNALS, NUMERICS, FIX, BREATHS = "_Signals.csv", "_Numerics.csv", "_Fix.txt", "_Breaths.csv"
NUMERICS_FS_HZ = 1.0

TRACKS = {"hr": "hr_bpm", "pulse": "pulse_bpm", "resp": "resp_bpm", "spo2": "spo2_pct"}
FACTS = {"Age": "age", "Gender": "sex", "Location": "ward"}
SUBJECT = "MIMIC II matched wdb ID"


def recording_name(path: Path) -> str:
    """`bidmc_01` for `bidmc_01_Signals.csv`; any other file is called by its stem."""
    return path.name.removesuffix(SIGNALS) if path.name.endswith(SIGNALS) else path.stem


def companions(path: Path) -> tuple[Path, ...]:
    """The files that come with a recording."""
    if not path.name.endswith(SIGNALS):
        return ()
    beside = [path.with_name(recording_name(path) + end) for end in (NUMERICS, FIX, BREATHS)]
    return tuple(companion for companion in beside if companion.is_file())


def read_companions(path: Path) -> tuple[str | None, dict[str, float | str | LabelTrack]]:
    """The subject where it is known, and the labels."""
    subject_id: str | None = None
    labels: dict[str, float | str | LabelTrack] = {}
    for companion in companions(path):
        if companion.name.endswith(NUMERICS):
            labels |= _read_numerics(companion)
        elif companion.name.endswith(FIX):
            facts = _read_facts(companion)
            subject_id = facts.get(SUBJECT)
            named = {FACTS[key]: as_label(text) for key, text in facts.items() if key in FACTS}
            labels |= {name: label for name, label in named.items() if label is not None}
    return subject_id, labels


def _read_numerics(path: Path) -> dict[str, LabelTrack]:
    table = pacsv.read_csv(path, pacsv.ReadOptions(use_threads=False))
    return {
        TRACKS[plain(name)]: as_track(
            table[name].cast(pa.float64()).to_numpy(), fs_hz=NUMERICS_FS_HZ
        )
        for name in table.column_names
        if plain(name) in TRACKS
    }


def _read_facts(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): text.strip() for key, colon, text in pairs if colon}
