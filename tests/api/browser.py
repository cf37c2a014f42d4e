"""Chromium without a window, driven by Playwright: what tests of the dashboard share."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Error, Page, ViewportSize, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic")
WAIT_SECONDS = 30.0
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
VIOLATIONS = """
    axe.run().then(({violations}) => violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`))
"""
DESK = ViewportSize(width=1200, height=900)


@contextmanager
def browsing() -> Iterator[Page]:
    """A tab of a new browser.

    The system's Chromium is used: Playwright's own would have to be downloaded. Where there is
    none, the test is skipped.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium on the PATH; looked for {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport=DESK)
        page.set_default_timeout(1000 * WAIT_SECONDS)
        try:
            yield page
        finally:
            browser.close()


@contextmanager
def without_errors(page: Page) -> Iterator[None]:
    """Nothing may go wrong in the page meanwhile; it is left before its service stops."""
    errors: list[str] = []

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location})")

    def note_exception(error: Error) -> None:
        errors.append(str(error))

    page.on("console", note_message)
    page.on("pageerror", note_exception)
    yield
    page.goto("about:blank")
    page.remove_listener("console", note_message)
    page.remove_listener("pageerror", note_exception)
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    assert not errors, "\n".join(errors)


def wait_until(page: Page, script: str) -> None:
    """Wait until an expression is true; one that fails is not true yet.

    Playwright's own waiting evaluates text in the page, which the dashboard's policy forbids.
    """
    attempt = f"() => {{ try {{ return !!({script}) }} catch {{ return false }} }}"
    deadline = time.monotonic() + WAIT_SECONDS
    while not page.evaluate(attempt):
        assert time.monotonic() < deadline, f"never true: {script}\n{page.inner_text('body')}"
        page.wait_for_timeout(50)
