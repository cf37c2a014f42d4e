"""PPG of two people in a format, for the pages on recordings: `made_files.py FORMAT`."""

import sys
from pathlib import Path

import edfio
import numpy as np
import wfdb

FS_HZ = 64


def pulse(bpm: float) -> np.ndarray:
    t = np.arange(90 * FS_HZ) / FS_HZ
    beat = 2 * np.pi * bpm / 60 * t
    noise = 0.02 * np.random.default_rng(0).standard_normal(t.size)
    return 500 + 10 * (np.sin(beat) + 0.4 * np.sin(2 * beat + 0.7) + noise)


def csv(name: str, ppg: np.ndarray) -> None:
    rows = [f"{i / FS_HZ:.6f},{x:.2f}" for i, x in enumerate(ppg)]
    Path(f"recordings/{name}.csv").write_text("\n".join(["time,ppg", *rows]) + "\n")
    Path("without-times").mkdir(exist_ok=True)
    column = [f"{x:.2f}" for x in ppg]
    Path(f"without-times/{name.replace('1', '2')}.csv").write_text("\n".join(["ppg", *column]))


def empatica(name: str, ppg: np.ndarray) -> None:
    folder = Path(f"recordings/{name.replace('p', 'S')}")
    folder.mkdir()
    rows = [f"{x - 500:.2f}" for x in ppg]
    (folder / "BVP.csv").write_text("\n".join(["1600000000.00", f"{FS_HZ}.000000", *rows]) + "\n")


def numpy(name: str, ppg: np.ndarray) -> None:
    np.save(f"recordings/{name}.npy", ppg.astype(np.float32))


def wfdb_record(name: str, ppg: np.ndarray) -> None:
    wfdb.wrsamp(
        name,
        fs=FS_HZ,
        units=["NU"],
        sig_name=["PLETH"],
        p_signal=ppg[:, None],
        fmt=["16"],
        write_dir="recordings",
    )


def edf(name: str, ppg: np.ndarray) -> None:
    file = "night" if name == "p01" else name
    edfio.Edf([edfio.EdfSignal(ppg, FS_HZ, label="Pleth")]).write(f"recordings/{file}.edf")


FORMATS = {
    "csv": csv,
    "empatica": empatica,
    "numpy": numpy,
    "wfdb": wfdb_record,
    "edf": edf,
}

if __name__ == "__main__":
    Path("recordings").mkdir(exist_ok=True)
    for name, bpm in (("p01", 72), ("p03", 61)):
        FORMATS[sys.argv[1]](name, pulse(bpm))
