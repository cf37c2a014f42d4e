"""The dashboard walked through by a visitor: a real API and worker, a run that trains meanwhile."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser import AXE, VIOLATIONS, wait_until
from live_service import Service, serving, settings_in
from playwright.sync_api import Page
from pulse_jobs import FS_HZ, make_pulses, pulse_config
from worker_bench import Bench

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 240.0  # of a machine that has much else to do
EPOCHS = 4


@dataclass(frozen=True)
class Walked:
    """A service whose worker has just been given a run to train."""

    service: Service
    bench: Bench
    run_id: str

    @property
    def url(self) -> str:
        return self.service.url

    def embedded(self) -> str:
        """The id of a job that has embedded what was trained on."""
        bench = self.bench
        bench.wait_for_status(self.run_id, "succeeded", PATIENCE_S)
        asked = {"kind": "embed", "dataset": "pulses", "config": {"model": self.run_id}}
        job = self.service.http.post("/v1/jobs", json=asked).raise_for_status().json()
        bench.wait_for_status(job["id"], "succeeded", PATIENCE_S)
        return job["id"]


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = settings_in(
            folder, poll_seconds=0.05, min_free_bytes=0, liveness_file=folder / "worker.alive"
        )
        make_pulses(settings.data_root / "pulses")
        with serving(settings) as service:
            service.http.timeout = PATIENCE_S
            bench = Bench(service.store, settings)
            bench.start_worker([sys.executable, "-m", "worker"])
            config = pulse_config(f"training.epochs={EPOCHS}")
            asked = {"kind": "pretrain", "dataset": "pulses", "name": "pulses", "config": config}
            run = service.http.post("/v1/jobs", json=asked).raise_for_status().json()
            try:
                yield Walked(service, bench, run["id"])
            finally:
                bench.stop_workers()


@pytest.fixture(scope="module")
def embedded(walked: Walked) -> str:
    return walked.embedded()


def check_rules(page: Page) -> None:
    """No rule of accessibility is broken, and nothing is wider than the screen."""
    page.evaluate(f"{AXE.read_text()}; 0")
    assert page.evaluate(VIOLATIONS) == [], page.url
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, page.url


def choose_encoder(page: Page, run_id: str) -> None:
    page.locator(f"select:has(option[value={run_id}])").select_option(run_id)


def pulse_file() -> dict[str, object]:
    """A minute of a pulse of 72 beats a minute, as a browser is handed a file."""
    pulse = np.sin(2 * np.pi * 1.2 * np.arange(round(60 * FS_HZ)) / FS_HZ)
    lines = "\n".join(["ppg", *map(str, pulse)])
    return {"name": "pulse.csv", "mimeType": "text/csv", "buffer": lines.encode()}


def test_a_run_is_followed_from_the_list_to_its_map(walked: Walked, page: Page):
    page.goto(walked.url)
    page.get_by_role("link", name="pulses").click()
    page.get_by_text("training ").first.wait_for()  # the legend: losses come in
    check_rules(page)

    page.get_by_role("link", name="Held-out windows, epoch by epoch").click()
    page.get_by_text("Explained variance").wait_for()
    check_rules(page)

    page.get_by_role("link", name="pulses").click()
    page.locator(".badge[data-status=succeeded]").wait_for(timeout=1000 * PATIENCE_S)
    page.get_by_role("navigation").get_by_role("link", name="Jobs").click()
    page.get_by_text("New job").click()
    page.locator("select:has(option[value=embed])").select_option("embed")
    choose_encoder(page, walked.run_id)
    page.get_by_placeholder("optional").fill("embedded by hand")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="Map").click(timeout=1000 * PATIENCE_S)
    page.get_by_text("32 of 32 rows").wait_for()
    page.get_by_role("img", name="Map of 32 windows by PCA").click()
    page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()
    check_rules(page)

    page.get_by_role("link", name="Embed", exact=True).click()
    choose_encoder(page, walked.run_id)
    page.get_by_label("Sampling rate, Hz").fill(str(FS_HZ))
    page.locator("input[type=file]").set_input_files(pulse_file())
    page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()
    assert "Windows\n11 of 5.12 s" in page.inner_text("[aria-label=Embedding]")
    check_rules(page)


def test_the_keyboard_alone_leads_to_a_window_of_the_map(walked: Walked, embedded: str, page: Page):
    def tab_to(script: str) -> None:
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate(f"(here => {script})(document.activeElement)"):
                return
        pytest.fail(f"no key leads to {script} on {page.url}")

    page.goto(walked.url)
    wait_until(page, f"document.querySelector('a[href=\"#/jobs/{embedded}\"]')")
    tab_to(f"here.hash === '#/jobs/{embedded}'")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Map").wait_for()
    tab_to("here.textContent === 'Map'")
    page.keyboard.press("Enter")
    page.get_by_text("32 of 32 rows").wait_for()
    tab_to("here.matches('.scatter')")
    for key in ("ArrowRight", "ArrowRight", "+", "Enter"):
        page.keyboard.press(key)

    page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()
    assert "row=" in page.url
    assert "view=" in page.url
    assert page.inner_text(".bar [role=status]").startswith("Row ")
    tab_to("here.textContent === 'go to it'")
    before = page.url
    page.keyboard.press("Enter")
    wait_until(page, f"location.href !== '{before}'")


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_every_page_keeps_the_rules(walked: Walked, embedded: str, page: Page, look: str):
    if look == "dark":
        page.emulate_media(color_scheme="dark")
    else:
        page.set_viewport_size({"width": 360, "height": 740})

    for place, shown in [
        ("/", f"a[href='#/jobs/{embedded}']"),
        (f"/jobs/{walked.run_id}", ".limit"),
        (f"/jobs/{walked.run_id}/reconstructions", "[aria-label=Spectra] .legend span"),
        (f"/jobs/{embedded}", "a[download]"),
        (f"/jobs/{embedded}/map?by=split&row=3", "figure path"),
        ("/datasets/pulses", "tbody a"),
        ("/embed", "option"),
    ]:
        page.goto(f"{walked.url}/#{place}")
        page.locator(shown).first.wait_for(state="attached")
        check_rules(page)
