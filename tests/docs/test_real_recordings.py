"""What the pages on formats say holds for files as people download them."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.recordings]


@pytest.mark.parametrize(
    ("folder", "subjects", "left_out"),
    [
        ("bidmc_csv", 2, None),
        ("stress_predict_e4", 2, None),
        ("cinc2015_wfdb", 7, "a109l.hea: no PPG channel"),
    ],
)
def test_a_folder_of_downloaded_files_becomes_a_dataset(
    folder: str, subjects: int, left_out: str | None, recordings: Path, tmp_path: Path
):
    ppgssl = [sys.executable, "-m", "ppgssl", "prepare"]
    options = ["--out", tmp_path / "made", "--window-seconds", "10"]

    made = subprocess.run(
        [*ppgssl, recordings / "raw" / folder, *options], capture_output=True, text=True
    )

    assert made.returncode == 0, made.stderr
    assert f"{subjects} recordings" in made.stdout + made.stderr
    assert (left_out is None) == ("skipped" not in made.stdout + made.stderr)
    assert left_out is None or left_out in made.stdout + made.stderr
