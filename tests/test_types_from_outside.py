"""The types are there for those who install the package: a program of theirs is checked."""

import json
import subprocess
import sys
from pathlib import Path

import ppgssl

PROGRAM = """
from pathlib import Path

from ppgssl.client import Client, Job
from ppgssl.data.dataset import open_dataset
from ppgssl.inference.encoder import load_encoder

encoder = load_encoder("default")
name: str = open_dataset(Path("data")).name
with Client("http://127.0.0.1:8000") as client:
    job: Job = client.submit("made", preset="small")
    wrong: int = job.status
"""


def test_a_program_outside_sees_our_types_and_its_own_mistake(tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')

    checker = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(
        [*checker, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    found = json.loads(done.stdout)["generalDiagnostics"]
    [error] = [one for one in found if one["severity"] == "error"]
    assert (error["range"]["start"]["line"], error["rule"]) == (11, "reportAssignmentType")


def test_the_marker_of_the_types_is_part_of_the_package():
    assert (Path(ppgssl.__file__).parent / "py.typed").is_file()
