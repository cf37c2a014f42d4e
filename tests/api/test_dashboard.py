"""The dashboard: its files and headers, and in a browser what a visitor does with it."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import AXE, VIOLATIONS, wait_until
from embedding_files import write_turning
from live_service import Service, make_dataset, serving, settings_in
from playwright.sync_api import Page
from test_api_reconstructions import put_down

from ppgssl.config import load_config
from ppgssl.data.simulated import write_simulated
from ppgssl.jobs.records import JobError, LossPoint, NewJob, Report
from ppgssl.jobs.tables import Job
from ppgssl.training import collapse

REPORT = json.dumps(
    {
        "labels": [
            {
                "label": "hr_bpm",
                "task": "regression",
                "windows": 80,
                "subjects": 8,
                "scores": {
                    "log_spectrum": {
                        "mae": {"value": 6.41, "low": 5.9, "high": 7.0},
                        "pearson_r": {"value": 0.65, "low": 0.6, "high": 0.7},
                    }
                },
                "comparison": {
                    "reference": "log_spectrum",
                    "metric": "mae",
                    "difference": {"value": -1.5, "low": -2.0, "high": -1.0},
                    "verdict": "better",
                },
                "label_efficiency": [],
                "robustness": [
                    {
                        "condition": "inverted",
                        "representation": "encoder",
                        "metric": "mae",
                        "score": {"value": 3.0, "low": 2.0, "high": 4.0},
                        "ratio_to_clean": 1.25,
                    }
                ],
            }
        ]
    }
).encode()
GREEN_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CHOOSE_EVALUATION = """
    const kind = document.querySelector('option[value=evaluate]').parentElement;
    kind.value = 'evaluate';
    kind.dispatchEvent(new Event('change'));
"""
PRESS = """
    document.querySelector('.chart').dispatchEvent(new KeyboardEvent('keydown', {{key: '{}'}}))
"""
FIELD = "document.querySelector('[aria-describedby=\"help-{path}\"]')"
FILL = """
    (() => {{
        const labels = [...document.querySelectorAll('.setting label')];
        const name = '{path}'.split('.').at(-1).replaceAll('_', ' ');
        const label = labels.find((l) => l.textContent.toLowerCase().startsWith(name));
        label.querySelector('input, select').value = '{value}';
    }})()
"""
DROP = """
    (() => {{
        const bytes = Uint8Array.from(atob('{content}'), (letter) => letter.charCodeAt(0));
        const given = new DataTransfer();
        given.items.add(new File([bytes], '{name}'));
        const dropped = new DragEvent('drop', {{dataTransfer: given}});
        document.querySelector('.zone').dispatchEvent(dropped);
    }})()
"""
STATIC = Path(__file__).parent.parent.parent / "api" / "static"


def test_the_dashboard_is_served_with_a_policy_that_forbids_everything_from_elsewhere(
    service: Service,
):
    page = service.http.get("/")

    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert service.http.get(path).status_code == 200, path


def test_the_dashboard_names_no_other_server():
    own_files = [path for path in STATIC.iterdir() if path.is_file()]

    urls = {
        url for path in own_files for url in re.findall(r"https?://[^\s\"'`)]+", path.read_text())
    }

    assert urls == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/nothing.js"]
)
def test_only_the_dashboards_own_files_are_served(service: Service, path: str):
    answer = service.http.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")


@pytest.mark.browser
def test_curves_grow_while_they_are_watched(service: Service, page: Page):
    claim = service.run("a job <b>with</b> markup")
    service.record(claim, [1, 2], log_lines=["first line"])

    page.goto(f"{service.url}/#/jobs/{claim.job.id}")
    wait_until(page, "document.querySelector('.legend').innerText.includes('0.5 at step 2')")
    service.record(claim, [4], log_lines=["second line"])
    wait_until(page, "document.querySelector('.legend').innerText.includes('0.25 at step 4')")
    wait_until(page, "document.querySelector('.log').innerText.includes('second line')")

    assert page.evaluate("document.querySelector('h1').innerText") == "a job <b>with</b> markup"


@pytest.mark.browser
def test_arrow_keys_read_the_curves(service: Service, page: Page):
    claim = service.run()
    service.record(claim, [1, 2, 4])

    page.goto(f"{service.url}/#/jobs/{claim.job.id}")
    wait_until(page, "document.querySelector('.legend').innerText.includes('0.25 at step 4')")
    page.evaluate(PRESS.format("ArrowLeft"))
    page.evaluate(PRESS.format("ArrowLeft"))

    said = page.evaluate("document.querySelector('.card [role=status]').textContent")
    assert said == "training 0.5 at step 2"


@pytest.mark.browser
def test_the_address_says_which_curves_are_shown(service: Service, page: Page):
    ours, theirs = service.run("ours"), service.run("theirs")
    service.record(ours, [1])
    service.record(theirs, [2])

    page.goto(f"{service.url}/#/jobs/{ours.job.id}?value=mse&log=1&smooth=0.5&with={theirs.job.id}")
    wait_until(page, "document.querySelector('.legend').innerText.includes('theirs, training')")

    assert page.evaluate("document.querySelector('.legend').innerText").split("\n") == [
        "this job, training 0.5 at step 1",
        "theirs, training 0.5 at step 2",
    ]
    assert page.evaluate("document.querySelector('[type=checkbox]').checked")
    page.evaluate("document.querySelector('[aria-label=\"Leave out theirs\"]').click()")
    wait_until(
        page, "document.querySelector('.legend').innerText.trim() == 'training 0.5 at step 1'"
    )
    assert page.evaluate("location.hash") == f"#/jobs/{ours.job.id}?value=mse&log=1&smooth=0.5"


@pytest.mark.browser
def test_the_health_of_every_epoch_is_drawn(service: Service, page: Page):
    claim = service.run()
    service.record(claim, [1])
    health = [
        LossPoint(epoch, epoch, "val", {"total": 1.0, "explained_variance": epoch / 10} | figures)
        for epoch, figures in [(1, {"uniformity": -0.5}), (2, {"uniformity": -2.5})]
    ]
    service.store.record(claim.lease, Report(points=health))

    page.goto(f"{service.url}/#/jobs/{claim.job.id}")
    wait_until(page, "document.querySelectorAll('.figures figure').length == 2")

    said = page.evaluate(
        "[...document.querySelectorAll('.spark')].map(s => s.ariaLabel).join('; ')"
    )
    assert "Explained variance: 10.0 % in epoch 1, 20.0 % in epoch 2" in said
    assert "Uniformity: -0.5 in epoch 1, -2.5 in epoch 2" in said


@pytest.mark.browser
def test_the_pace_of_a_run_is_drawn(service: Service, page: Page):
    claim = service.run()
    for step, speed in [(1, 80.0), (2, 40.0)]:
        told = {"epoch": 1, "epochs": 1, "step": step, "steps": 9, "fraction": 0.1, "eta_s": 7.0}
        memory = {"device_memory_bytes": step * 2**30}
        service.store.record(claim.lease, Report(progress=told | memory | {"windows_per_s": speed}))

    page.goto(f"{service.url}/#/jobs/{claim.job.id}?pace=device_memory_bytes")
    wait_until(
        page, "document.querySelector('[aria-label=Pace]').innerText.includes('GiB 2 at step')"
    )

    offered = page.evaluate("document.querySelector('[aria-label=Figure]').innerText")
    assert offered.split("\n") == ["Windows per second", "Time per step", "Device's memory in use"]


@pytest.mark.browser
def test_reconstructions_are_walked_through_epoch_by_epoch(service: Service, page: Page):
    claim = service.run()
    put_down(service, claim)

    page.goto(f"{service.url}/#/jobs/{claim.job.id}/reconstructions?epoch=1")
    wait_until(page, "document.querySelector('.facts').innerText.includes('0 %')")
    page.evaluate("document.querySelector('[type=range]').value = 1")
    page.evaluate("document.querySelector('[type=range]').dispatchEvent(new Event('input'))")
    wait_until(page, "document.querySelector('.facts').innerText.includes('75 %')")

    assert page.evaluate("location.hash") == f"#/jobs/{claim.job.id}/reconstructions"
    shown = page.evaluate("document.querySelector('.chart').ariaLabel")
    assert shown.startswith("Signals, epoch 2: target ")


@pytest.mark.browser
def test_a_part_of_a_long_reconstruction_is_fetched_in_detail(service: Service, page: Page):
    claim = service.run()
    put_down(service, claim, times=60)

    with page.expect_response(lambda answer: "from_s=" in answer.url) as detail:
        page.goto(f"{service.url}/#/jobs/{claim.job.id}/reconstructions?from=300&to=304")
    seconds = [at for at, _ in detail.value.json()["curves"]["output"]]

    assert (seconds[0], seconds[-1]) == (296.0, 308.0)
    assert np.diff(seconds) == pytest.approx(1 / 125)
    assert page.evaluate("location.hash").endswith("?from=300.00&to=304.00")


@pytest.mark.browser
def test_a_figure_beyond_the_trainers_limit_is_called_a_collapse(service: Service, page: Page):
    claim = service.run()
    limits = {
        "explained_variance": collapse.LOWEST_EXPLAINED_VARIANCE,
        "effective_rank": collapse.LOWEST_EFFECTIVE_RANK,
        "dead_dimensions": collapse.MOST_DEAD_DIMENSIONS,
        "uniformity": collapse.HIGHEST_UNIFORMITY,
    }
    service.record(claim, [1])
    beyond = {"dead_dimensions": limits["dead_dimensions"] + 0.001}
    points = [LossPoint(1, 1, "val", {"total": 1.0} | limits | beyond)]
    service.store.record(claim.lease, Report(points=points))

    page.goto(f"{service.url}/#/jobs/{claim.job.id}")
    wait_until(page, "document.querySelectorAll('.limit').length == 4")

    told = page.evaluate("[...document.querySelectorAll('.limit')].map(p => p.innerText)")
    assert told == [
        "collapsed where below 5.0 %",
        "collapsed where below 4",
        "Collapsed: above 50.0 %",
        "collapsed where above -0.1",
    ]


@pytest.mark.browser
def test_a_job_tells_what_differs_from_its_preset(service: Service, page: Page):
    config = load_config("small", ["training.epochs=7"]).model_dump(mode="json")
    request = {"preset": "small", "config": {"training": {"epochs": 7}}}
    job = service.store.create(NewJob("pretrain", config, dataset="made", request=request))
    usual = load_config("small").training.epochs

    page.goto(f"{service.url}/#/jobs/{job.id}")
    wait_until(page, "document.body.innerText.includes('Differs from the preset small')")

    assert (
        page.evaluate(
            "[...document.querySelectorAll('[aria-label=Config] table')][0].tBodies[0].innerText"
        )
        == f"training.epochs\t7\t{usual}"
    )


@pytest.mark.browser
def test_a_failed_job_says_why(service: Service, page: Page):
    claim = service.run()
    service.store.record(claim.lease, Report(warnings=["beware"]))
    service.store.fail(claim.lease, JobError("non_finite_loss", "the loss became nan"))

    page.goto(f"{service.url}/#/jobs/{claim.job.id}")
    wait_until(page, "document.body.innerText.includes('non_finite_loss: the loss became nan')")

    assert "beware" in page.inner_text("body")
    assert page.evaluate("[...document.querySelectorAll('button')].every(b => b.disabled)")


@pytest.mark.browser
def test_a_queued_job_is_paused_and_resumed_by_its_buttons(service: Service, page: Page):
    job = service.queue()
    press = "[...document.querySelectorAll('button')].find(b => b.innerText == '{}').click()"

    page.goto(f"{service.url}/#/jobs/{job.id}")
    wait_until(page, "document.querySelector('.badge[data-status=queued]')")
    page.evaluate(press.format("Pause"))
    wait_until(page, "document.querySelector('.badge[data-status=paused]')")
    page.evaluate(press.format("Resume"))
    wait_until(page, "document.querySelector('.badge[data-status=queued]')")

    assert service.store.get(job.id).status == "queued"


@pytest.mark.browser
def test_the_report_of_an_evaluation_is_shown_with_its_pictures(service: Service, page: Page):
    job = service.evaluated({"report.json": REPORT, "report.md": b"", "scores.png": GREEN_DOT})

    page.goto(f"{service.url}/#/jobs/{job.id}")
    wait_until(page, "document.querySelector('.report img').naturalWidth == 1")

    text = page.inner_text("body")
    assert "Log spectrum\t6.41 (5.9 to 7)\t0.65 (0.6 to 0.7)" in text
    assert "80 windows of 8 people" in text
    assert "the others: better; mean absolute error differs by -1.5 (-2 to -1)" in text
    assert "inverted\t3 (2 to 4), 1.25 x" in text
    assert "Checkpoints" not in text
    assert "Losses" not in text


@pytest.mark.browser
def test_a_training_run_is_submitted_with_the_settings_that_were_filled_in(
    service: Service, page: Page
):
    make_dataset(service.settings.data_root / "made")

    page.goto(service.url)
    wait_until(page, "document.querySelector('details')")
    page.evaluate("document.querySelector('details').open = true")
    wait_until(page, "document.querySelector('.setting')")
    for path, value in [
        ("training.epochs", "7"),
        ("model.spectral_path", "false"),
        ("data.load_in_memory", "true"),
        ("model.segment_seconds", "null"),
        ("model.context_dilations", "[1, 2]"),
    ]:
        page.evaluate(FILL.format(path=path, value=value))
    page.select_option("[aria-describedby='help-training.devices']", "number")
    page.fill("input[aria-describedby='help-training.devices']", "1")
    shown = page.evaluate(FIELD.format(path="model.num_blocks") + ".placeholder")
    offered = page.evaluate(FIELD.format(path="training.batch_size") + ".options[0].text")
    choices = page.evaluate(
        f"[...{FIELD.format(path='data.load_in_memory')}.options].map(({{value}}) => value)"
    )
    page.evaluate("document.querySelector('form').requestSubmit()")
    wait_until(page, "location.hash.startsWith('#/jobs/') && document.querySelector('.badge')")

    [job] = service.store.jobs(limit=1).items
    assert choices == ["", "auto", "true", "false"]
    small = load_config("small")
    assert shown == str(small.model.num_blocks)
    assert str(small.training.batch_size) in offered
    assert job.request is not None
    assert job.request["preset"] == "small"
    assert job.request["config"] == {
        "data": {"window_seconds": 10, "fs_hz": 125, "load_in_memory": True},
        "training": {"epochs": 7, "devices": 1},
        "model": {
            "spectral_path": False,
            "context_dilations": [1, 2],
            "segment_seconds": None,
        },
    }


@pytest.mark.browser
def test_a_setting_that_cannot_be_read_is_named(service: Service, page: Page):
    make_dataset(service.settings.data_root / "made")

    page.goto(service.url)
    wait_until(page, "document.querySelector('details')")
    page.evaluate("document.querySelector('details').open = true")
    wait_until(page, "document.querySelector('.setting')")
    page.evaluate(FILL.format(path="model.context_dilations", value="one, four"))
    page.evaluate("document.querySelector('form').requestSubmit()")

    wait_until(
        page,
        "document.querySelector('[role=alert]').innerText"
        " == \"model.context_dilations: expected JSON such as [1,4], got 'one, four'\"",
    )
    assert service.store.jobs(limit=1).items == []


@pytest.mark.browser
def test_an_evaluation_is_submitted_by_the_form(service: Service, best_folder: Path, page: Page):
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 60.0, "age": 40.0})
    trained = service.trained(best_folder)

    page.goto(service.url)
    wait_until(page, "document.querySelector('details')")
    page.evaluate("document.querySelector('details').open = true")
    wait_until(page, "document.querySelector('input[value=age]')")
    page.evaluate(CHOOSE_EVALUATION)
    page.evaluate("document.querySelector('input[value=age]').click()")
    page.evaluate(f"document.querySelector('option[value={trained.id}]').selected = true")
    page.evaluate("document.querySelector('form').requestSubmit()")
    wait_until(page, "location.hash.startsWith('#/jobs/') && document.querySelector('.badge')")

    [job] = service.store.jobs(limit=1).items
    assert (job.kind, job.config["labels"]) == ("evaluate", ["age"])
    assert job.config["encoder"]["job_id"] == trained.id


@pytest.mark.browser
def test_what_a_job_embedded_is_shown_with_its_file(service: Service, page: Page):
    job = service.embedded(windows=1234, rows=1234, refused=2, unreadable={"a": "<b>broken</b>"})

    page.goto(f"{service.url}/#/jobs/{job.id}")
    wait_until(page, "document.querySelector('a[download]')")

    text = page.inner_text("body")
    link = page.evaluate("document.querySelector('a[download]').getAttribute('href')")
    assert link == f"/v1/jobs/{job.id}/embeddings/embeddings.parquet"
    assert "1,234, one per window" in text
    assert "Recordings that could not be read: 1" in text
    assert "Checkpoints" not in text
    assert "Losses" not in text


@pytest.mark.browser
def test_a_bulk_embedding_is_submitted_by_the_form(service: Service, best_folder: Path, page: Page):
    write_simulated(
        service.settings.data_root / "clinic",
        subjects=1,
        minutes=0.5,
        fs_hz=125,
        seed=0,
        on_subject=lambda _: None,
    )
    trained = service.trained(best_folder)

    page.goto(service.url)
    wait_until(page, "document.querySelector('details')")
    page.evaluate("document.querySelector('details').open = true")
    wait_until(page, f"document.querySelector('option[value={trained.id}]')")
    page.evaluate(CHOOSE_EVALUATION.replace("evaluate", "embed"))
    page.evaluate("document.querySelector('[placeholder^=instead]').value = 'clinic'")
    page.evaluate(f"document.querySelector('option[value={trained.id}]').selected = true")
    page.evaluate("document.querySelector('form').requestSubmit()")
    wait_until(page, "location.hash.startsWith('#/jobs/') && document.querySelector('.badge')")

    [job] = service.store.jobs(limit=1).items
    assert (job.kind, job.dataset) == ("embed", "clinic")
    assert job.config["encoder"]["job_id"] == trained.id


@pytest.mark.browser
def test_ten_minutes_are_panned_and_the_address_follows(service: Service, page: Page):
    make_dataset(service.settings.data_root / "long", samples=75_000)

    page.goto(f"{service.url}/#/datasets/long")
    wait_until(page, "document.querySelector('tbody a[href*=windows]')")
    page.evaluate("document.querySelector('tbody a[href*=windows]').click()")
    wait_until(
        page, "document.querySelector('.legend').innerText.includes('recorded 1 at 599.992 s')"
    )
    page.evaluate("document.querySelector('[aria-label^=Seconds]').value = '10'")
    page.evaluate(
        "document.querySelector('[aria-label^=Seconds]').dispatchEvent(new Event('change'))"
    )
    wait_until(page, "location.hash.endsWith('?from=0.00&to=10.00')")
    page.evaluate("document.querySelector('[type=range]').value = 500")
    page.evaluate("document.querySelector('[type=range]').dispatchEvent(new Event('input'))")
    wait_until(page, "location.hash.endsWith('?from=295.00&to=305.00')")


@pytest.mark.browser
def test_a_dataset_shows_its_quality_and_its_windows(service: Service, page: Page):
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 61.5})

    page.goto(f"{service.url}/#/datasets/made")
    wait_until(page, "document.querySelectorAll('[aria-label=Windows] tbody tr').length == 2")

    said = page.evaluate("document.querySelector('.histogram').ariaLabel")
    assert said == "Windows by signal quality; most, 2, from 0.95 to 1.00"
    assert "0\tr\ts\t0 s\t1\t61.5" in page.inner_text("body")


def pulse_files() -> dict[str, bytes]:
    """Ten seconds of a pulse of 72 beats a minute at 125 Hz, as each kind of file."""
    samples = np.sin(2 * np.pi * 1.2 * np.arange(1250) / 125).astype(np.float32)
    npy, lines = io.BytesIO(), [f"{i / 125},{value}" for i, value in enumerate(samples)]
    np.save(npy, samples.astype(np.float64))
    csv = "\n".join(["time_s,ppg", *lines])
    return {"pulse.csv": csv.encode(), "pulse.npy": npy.getvalue(), "pulse.f32": samples.tobytes()}


@pytest.mark.browser
@pytest.mark.parametrize("name", ["pulse.csv", "pulse.npy", "pulse.f32"])
def test_a_dropped_file_is_embedded(service: Service, best_folder: Path, page: Page, name: str):
    trained = service.trained(best_folder)
    content = pulse_files()[name]

    page.goto(f"{service.url}/#/embed?model={trained.id}")
    wait_until(page, f"document.querySelector('option[value={trained.id}]')?.selected")
    page.evaluate(DROP.format(name=name, content=base64.b64encode(content).decode()))
    wait_until(page, "document.querySelector('canvas.picture')")

    shown = json.loads(page.evaluate("document.querySelector('textarea').value"))
    [answered] = service.http.post(
        "/v1/embeddings",
        params={"model": trained.id, "fs_hz": 125},
        content=pulse_files()["pulse.f32"],
        headers={"Content-Type": "application/octet-stream", "Accept": "application/json"},
    ).json()["data"]
    assert shown == pytest.approx(answered["embedding"], abs=1e-4)
    assert "Samples\n1,250" in page.inner_text("body")


@pytest.mark.browser
def test_a_dropped_file_without_numbers_says_what_was_expected(service: Service, page: Page):
    page.goto(f"{service.url}/#/embed")
    wait_until(page, "document.querySelector('.zone')")
    content = base64.b64encode(b"no,numbers\nat,all\n").decode()
    page.evaluate(DROP.format(name="words.csv", content=content))

    wait_until(
        page, "document.querySelector('[role=alert]').innerText.startsWith('no column of num')"
    )


@pytest.mark.browser
@pytest.mark.parametrize("view", ["", "datasets", "models", "embed"])
def test_no_view_is_wider_than_a_phone(service: Service, best_folder: Path, page: Page, view: str):
    service.trained(best_folder)

    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{service.url}/#/{view}")
    wait_until(page, "document.querySelector('.card')?.innerText")

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.browser
@pytest.mark.parametrize("is_dark", [False, True])
def test_no_view_breaks_a_rule_of_accessibility(
    service: Service, best_folder: Path, tmp_path: Path, page: Page, is_dark: bool
):
    trained = service.trained(best_folder)
    running = service.run()
    service.record(running, [1, 2], log_lines=["a line"])
    health = {"total": 1.0, "explained_variance": 0.01, "uniformity": -2.0}
    service.store.record(
        running.lease,
        Report(points=[LossPoint(2, 1, "val", health)], warnings=["beware"]),
    )
    put_down(service, running)
    mapped = mapped_job(service, tmp_path)
    views = {
        "": "details",
        f"jobs/{mapped.id}": "a[download]",
        f"jobs/{mapped.id}/map?row=1": "figure path",
        f"jobs/{running.job.id}/reconstructions": "[aria-label=Spectra] .legend span",
        f"jobs/{running.job.id}?with={trained.id}": ".limit",
        f"jobs/{trained.id}": ".rows",
        "datasets": ".facts",
        "datasets/made": "tbody a",
        "datasets/made/windows/0": ".legend span",
        "models": "table",
        "embed": "option",
    }

    page.emulate_media(color_scheme="dark" if is_dark else "light")
    for view, awaited in views.items():
        page.goto("about:blank")
        page.goto(f"{service.url}/#/{view}")
        wait_until(page, f"document.querySelector('{awaited}')")
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        page.evaluate(f"{AXE.read_text()}; 0")

        assert page.evaluate(VIOLATIONS) == [], view


@pytest.mark.browser
def test_a_service_with_a_key_asks_for_it(tmp_path: Path, tab: Page):
    with serving(settings_in(tmp_path, api_key="tell-nobody")) as service:
        service.queue("the secret job")
        tab.goto(service.url)
        wait_until(tab, "document.querySelector('input[type=password]')")
        tab.evaluate("document.querySelector('input[type=password]').value = 'tell-nobody'")
        tab.evaluate("document.querySelector('form').requestSubmit()")
        wait_until(tab, "document.body.innerText.includes('the secret job')")
        tab.goto("about:blank")


def mapped_job(service: Service, folder: Path) -> Job:
    """Six windows of the dataset `made`, a degree apart."""
    make_dataset(service.settings.data_root / "made", windows=6, labels={"hr_bpm": 61.5})
    windows = [("r", 10.0 * number) for number in range(6)]
    return service.embedded(write_turning(folder / "e.parquet", windows))


@pytest.mark.browser
def test_a_map_is_walked_by_keys_and_its_address_leads_back(
    service: Service, tmp_path: Path, page: Page
):
    job = mapped_job(service, tmp_path)

    page.goto(f"{service.url}/#/jobs/{job.id}/map?by=recording_id")
    wait_until(page, "document.querySelector('.scatter').ariaLabel?.includes('Map of 6 windows')")
    page.focus(".scatter")
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    at_the_left = page.inner_text(".bar [role=status]")
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelectorAll('[aria-label=\"Nearest windows\"] figure').length")
    row = int(page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('row')"))
    page.reload()
    wait_until(page, "document.querySelectorAll('[aria-label=\"Nearest windows\"] figure').length")

    assert at_the_left.startswith(f"Row {row}: ")
    assert row in (0, 5)  # the ends of the turn
    nearest = page.inner_text("[aria-label='Nearest windows'] figure:first-child")
    assert nearest.startswith("r, 10 s" if row == 0 else "r, 40 s")


@pytest.mark.browser
def test_a_window_of_the_map_is_shown_with_its_labels_and_signal(
    service: Service, tmp_path: Path, page: Page
):
    job = mapped_job(service, tmp_path)

    page.goto(f"{service.url}/#/jobs/{job.id}/map?row=1&by=hr_bpm")
    wait_until(page, "document.querySelector('.chart + .legend').innerText.includes('recorded 1')")
    wait_until(page, "document.querySelectorAll('.spark path').length >= 1")

    told = page.inner_text("[aria-label=Window]")
    assert "window 1" in told
    assert "Hr bpm\n61.5" in told
    assert page.inner_text("[aria-label=Map] .legend").split() == ["61.5", "61.5"]


@pytest.mark.browser
def test_a_map_that_cannot_be_made_says_why(service: Service, tmp_path: Path, tab: Page):
    job = service.embedded(write_turning(tmp_path / "e.parquet", [("r", 0.0)]))

    tab.goto(f"{service.url}/#/jobs/{job.id}/map")
    wait_until(tab, "document.querySelector('[role=alert]').innerText.includes('a map needs 4')")
    tab.goto(
        "about:blank"
    )  # a refused request is an error to the console: `page` would not have it
