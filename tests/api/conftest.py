"""A running service per test, or one for a module's tests that only look."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from encoder_gate import Gate
from live_service import Service, serving, settings_in

if TYPE_CHECKING:  # most tests need no browser
    from playwright.sync_api import Page


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own."""
    with serving(settings_in(tmp_path)) as service:
        yield service


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Services that are started from here on compute when the gate lets them."""
    gate = Gate(tmp_path_factory.mktemp("gate"))
    monkeypatch.setattr("api.encoder_process.handle.PROGRAM", gate.program)
    return gate


@pytest.fixture(scope="session")
def best_folder(encoder_folder: Path) -> Path:
    """A checkpoint folder of an untrained encoder, as a real run writes it."""
    return (encoder_folder / "best").resolve()


@pytest.fixture(scope="module")
def trained(best_folder: Path) -> Iterator[tuple[Service, str]]:
    """A service with one encoder, and its job's id; for tests that change nothing."""
    with tempfile.TemporaryDirectory() as folder, serving(settings_in(Path(folder))) as service:
        yield service, service.trained(best_folder).id


@pytest.fixture(scope="module")
def tab() -> Iterator["Page"]:
    """A tab of a browser, for tests in which the page meets errors."""
    from browser import browsing

    with browsing() as tab:
        yield tab


@pytest.fixture
def page(tab: "Page") -> Iterator["Page"]:
    """A page that nothing may go wrong in."""
    from browser import without_errors

    with without_errors(tab):
        yield tab
