"""The files that docs/deploy.md shows are read by the programs that they are for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pages import PAGES

PAGE = PAGES["deploy.md"].read_text("utf-8")


def shown(name: str) -> str:
    found = re.search(rf"<!-- file: {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", ["ppgssl-api.service", "ppgssl-worker@.service"])
def test_a_unit_is_one_that_systemd_reads_without_a_complaint(unit: str, tmp_path: Path):
    file = tmp_path / unit
    text = shown(unit).replace("/opt/ppgssl/.venv/bin/ppgssl", "/bin/true")
    file.write_text(text.replace("User=ppgssl", "User=root"))

    read = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", file],
        capture_output=True,
        text=True,
    )

    assert [line for line in read.stderr.splitlines() if "ppgssl" in line] == []
