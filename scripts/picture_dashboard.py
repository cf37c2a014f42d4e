"""Takes the pictures of `docs/dashboard.md` of a service that runs, with Chromium and Playwright.

The service needs a dataset with heart rates, a run on it, and a job that embedded it:

    ppgssl prepare bidmc.parquet --out data/bidmc --window-seconds 10
    ppgssl api & ppgssl worker &
    ppgssl jobs submit bidmc --preset small --name "BIDMC, small" --watch
    ppgssl jobs submit bidmc --kind embed --model default --name "BIDMC, default encoder" --watch
    python scripts/picture_dashboard.py --recording bidmc_17_Signals.csv
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1200


def main() -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--recording", type=Path, required=True, help="to drop on the page Embed")
    parser.add_argument("--only", nargs="*", default=None, help="names, such as map")
    given = parser.parse_args()
    service = Shown(given.url, given.recording)
    browser_path = next(path for name in BROWSERS if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, (height, dark, show) in service.pictures().items():
            if given.only is not None and name not in given.only:
                continue
            page = browser.new_page(
                viewport={"width": WIDTH, "height": height},
                color_scheme="dark" if dark else "light",
            )
            show(page)
            page.mouse.move(0, 0)
            page.wait_for_timeout(1500)  # the last curves are drawn
            page.screenshot(path=IMAGES / f"dashboard-{name}.png")
            page.close()
        browser.close()


class Shown:
    """A service, and what of it is shown.

    Args:
        url: Where it is.
        recording: A file to embed.
    """

    def __init__(self, url: str, recording: Path) -> None:
        self.url, self.recording = url, recording

    def newest(self, kind: str) -> str:
        """The id of the newest job of a kind that has succeeded."""
        asked = {"kind": kind, "status": "succeeded", "limit": 1}
        found = httpx.get(f"{self.url}/v1/jobs", params=asked).json()["data"]
        if not found:
            raise SystemExit(f"{self.url} has no job of the kind {kind} that has succeeded")
        return found[0]["id"]

    def pictures(self) -> dict[str, tuple[int, bool, Callable[[Page], None]]]:
        """By name: the height, whether it is dark, and what leads there."""
        return {
            "job": (1650, False, self.show_job),
            "reconstructions": (1250, False, self.show_reconstructions),
            "map": (1850, False, self.show_map),
            "embed": (1770, True, self.show_embed),
            "form": (1135, False, self.show_form),
            "dataset": (1150, True, self.show_dataset),
        }

    def show_job(self, page: Page) -> None:
        """Curves, health and pace of a run."""
        page.goto(f"{self.url}/#/jobs/{self.newest('pretrain')}?log=1&smooth=0.6")
        page.locator(".limit").first.wait_for()

    def show_reconstructions(self, page: Page) -> None:
        """The last epoch of a held-out window."""
        page.goto(f"{self.url}/#/jobs/{self.newest('pretrain')}/reconstructions?window=2")
        page.locator("[aria-label=Spectra] .legend span").first.wait_for()

    def show_map(self, page: Page) -> None:
        """Coloured by heart rate, with a window and its neighbours in other recordings."""
        page.goto(f"{self.url}/#/jobs/{self.newest('embed')}/map?by=hr_bpm&row=300&others=1")
        page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()

    def show_embed(self, page: Page) -> None:
        """A window of a file, and the nearest ones."""
        page.goto(f"{self.url}/#/embed?window=10&in={self.newest('embed')}")
        page.locator("option").first.wait_for(state="attached")
        page.locator("input[type=file]").set_input_files(self.recording)
        page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()
        page.get_by_label("Window", exact=True).press("ArrowRight")
        page.locator("[aria-label='Nearest windows'] figure path").nth(5).wait_for()

    def show_form(self, page: Page) -> None:
        """A new run."""
        page.goto(self.url)
        page.get_by_text("New job").click()
        page.locator(".setting").first.wait_for(state="attached")

    def show_dataset(self, page: Page) -> None:
        """Splits, rejections, quality and windows."""
        embedded = httpx.get(f"{self.url}/v1/jobs/{self.newest('embed')}").json()
        page.goto(f"{self.url}/#/datasets/{embedded['dataset']}")
        page.locator("tbody a").first.wait_for()


if __name__ == "__main__":
    main()
