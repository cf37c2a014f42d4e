"""The pages hold together: as plain files, and as the site that `make docs` writes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT

from ppgssl.client import Client, calls

LINK = re.compile(r"\]\(<?([^)#>\s]+)")
ZENSICAL = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_links_to_exists(name: str):
    page = PAGES[name]
    linked = [target for target in LINK.findall(page.read_text("utf-8")) if ":" not in target]

    missing = [target for target in linked if not (page.parent / target).exists()]

    assert missing == []


def test_the_python_page_lists_every_call_that_the_client_makes():
    listed = re.findall(r"^ {8}- (\w+)$", PAGES["reference/python.md"].read_text("utf-8"), re.M)

    assert sorted(listed) == sorted(
        name for name in vars(calls) if hasattr(Client, name) and not name.startswith("_")
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made of, where a test may write."""
    root = tmp_path_factory.mktemp("site")
    for part in ("docs", "ppgssl", "scripts"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", root)
    return root


@pytest.mark.slow
def test_the_site_has_the_pages_and_the_references_without_a_dead_link(copy: Path):
    subprocess.run([sys.executable, "scripts/write_references.py"], cwd=copy, check=True)

    built = subprocess.run(ZENSICAL, cwd=copy, capture_output=True, text=True)

    assert built.returncode == 0, built.stdout + built.stderr
    site = copy / "build" / "site"
    pages = [site / name.replace(".md", ".html") for name in PAGES if name != "README.md"]
    assert [page for page in pages if not page.is_file()] == []
    assert "POST /v1/embeddings" in (site / "reference" / "http.html").read_text("utf-8")
    assert "--window-seconds" in (site / "reference" / "command-line.html").read_text("utf-8")
    python = (site / "reference" / "python.html").read_text("utf-8")
    assert "ppgssl.client.calls.submit" in python
    assert "ppgssl.inference.encoder.load_encoder" in python


@pytest.mark.slow
def test_a_link_to_a_heading_that_is_not_there_fails_the_build(copy: Path):
    page = copy / "docs" / "reference" / "dead.md"
    page.write_text("[gone](../health.md#no-such-heading)\n")

    built = subprocess.run(ZENSICAL, cwd=copy, capture_output=True, text=True)
    page.unlink()

    assert built.returncode != 0
    assert "anchor does not exist" in built.stdout + built.stderr
