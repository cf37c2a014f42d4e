"""`ppgssl jobs ...` against the real service: output, exit codes, settings."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_service import EMBEDDINGS, REPORT, Service, make_dataset, serving, settings_in
from typer.testing import CliRunner, Result

from ppgssl.cli.jobs import app
from ppgssl.client import Client, Event
from ppgssl.jobs.records import JobError, Report


@pytest.fixture
def command(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that the commands find by PPGSSL_URL."""
    make_dataset(service.settings.data_root / "made")
    monkeypatch.setenv("PPGSSL_URL", service.url)
    monkeypatch.delenv("PPGSSL_API_KEY", raising=False)
    return service


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_job_is_submitted_with_preset_file_and_overrides(command: Service, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("seed: 5\ntraining: {epochs: 9}\n")

    result = run(
        *("submit", "made", "--preset", "small", "--config", str(config)),
        *("--set", "training.epochs=2", "--name", "mine", "--priority", "3", "--json"),
    )

    job = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert (job["config"]["seed"], job["config"]["training"]["epochs"]) == (5, 2)
    assert (job["name"], job["status"]) == ("mine", "queued")
    assert command.store.get(job["id"]).priority == 3


def test_jobs_are_listed_and_shown(command: Service):
    first, second = command.queue("first"), command.queue("second")
    command.store.request_pause(first.id)

    listed = run("list")
    paused = json.loads(run("list", "--status", "paused", "--json").stdout)
    shown = run("show", second.id)

    assert "first" in listed.stdout
    assert "second" in listed.stdout
    assert [job["id"] for job in paused] == [first.id]
    assert f"id        {second.id}" in shown.stdout


def test_pause_resume_and_cancel_print_the_new_status(command: Service):
    job = command.queue()

    statuses = [
        json.loads(run(action, job.id, "--json").stdout)["status"]
        for action in ("pause", "resume", "cancel")
    ]

    assert statuses == ["paused", "queued", "cancelled"]


def test_cancelling_can_wait_until_the_run_has_stopped(command: Service):
    claim = command.run()
    with ThreadPoolExecutor() as pool:
        cancelling = pool.submit(run, "cancel", claim.job.id, "--wait", "--json")
        while command.store.get(claim.job.id).requested_action != "cancel":
            time.sleep(0.01)
        command.store.hand_back(claim.lease, "the run stopped")

    assert json.loads(cancelling.result().stdout)["status"] == "cancelled"


def test_watching_a_job_that_succeeds_exits_0(command: Service, best_folder: Path):
    job = command.trained(best_folder)

    result = run("watch", job.id)
    events = [json.loads(line) for line in run("watch", job.id, "--json").stdout.splitlines()]

    assert result.exit_code == 0
    assert "best checkpoint so far: epoch 1" in result.stderr
    assert "succeeded" in result.stdout
    assert events[-1]["data"]["status"] == "succeeded"


def test_watching_a_job_that_fails_exits_1_and_says_why(command: Service):
    claim = command.run()
    command.store.fail(claim.lease, JobError("non_finite_loss", "the loss became nan"))

    result = run("watch", claim.job.id)

    assert result.exit_code == 1
    assert "failed: the loss became nan" in result.stderr
    assert "error     non_finite_loss: the loss became nan" in result.stdout


def test_losses_are_printed_as_csv(command: Service):
    claim = command.run()
    command.record(claim, [1, 2, 3])

    result = run("losses", claim.job.id, "--after-step", "1")

    assert result.stdout.splitlines() == [
        "step,epoch,split,total,mse",
        "2,1,train,0.5,0.5",
        f"3,1,train,{1 / 3!r},0.5",
    ]


def test_the_encoder_is_downloaded(command: Service, best_folder: Path, tmp_path: Path):
    job = command.trained(best_folder)

    result = run("download", job.id, "--out", str(tmp_path / "encoder"))
    everything = run("download", job.id, "--out", str(tmp_path / "all"), "--all", "--json")

    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "encoder").iterdir()} == {
        "encoder.json",
        "encoder.safetensors",
    }
    assert len(json.loads(everything.stdout)) == len(list(best_folder.iterdir()))


def test_an_evaluation_is_submitted_by_name(command: Service, best_folder: Path):
    make_dataset(command.settings.data_root / "labelled", labels={"hr_bpm": 60.0})
    trained = command.trained(best_folder)

    result = run(
        *("submit", "--kind", "evaluate", "--dataset", "labelled", "--model", trained.id),
        *("--label", "hr_bpm", "--set", "seed=4"),
    )

    [job] = command.store.jobs(limit=1).items
    assert result.exit_code == 0, result.output
    assert "kind      evaluate" in result.stdout
    assert f"{trained.id}, sha256 {job.config['encoder']['sha256']}" in result.stdout
    assert (job.config["labels"], job.config["seed"]) == (["hr_bpm"], 4)


def test_a_report_is_printed_and_downloaded(command: Service, tmp_path: Path):
    job = command.evaluated()
    out = tmp_path / "report"

    markdown = run("report", job.id)
    report = json.loads(run("report", job.id, "--json").stdout)
    downloaded = run("report", job.id, "--out", str(out))

    assert markdown.stdout.rstrip("\n").encode() == REPORT["report.md"].rstrip(b"\n")
    assert report["windows"] == 7
    assert {path.name: path.read_bytes() for path in out.iterdir()} == REPORT
    assert downloaded.stdout.splitlines() == [str(out / name) for name in sorted(REPORT)]


def test_an_embedding_is_submitted_by_name(command: Service, best_folder: Path):
    trained = command.trained(best_folder)

    result = run(
        *("submit", "--kind", "embed", "--dataset", "made", "--model", trained.id),
        *("--set", "granularity=segment"),
    )

    [job] = command.store.jobs(limit=1).items
    assert result.exit_code == 0, result.output
    assert "kind      embed" in result.stdout
    assert f"{trained.id}, sha256 {job.config['encoder']['sha256']}" in result.stdout
    assert job.config["granularity"] == "segment"


def test_embeddings_are_downloaded(command: Service, tmp_path: Path):
    job = command.embedded()
    out = tmp_path / "embeddings"

    result = run("download", job.id, "--out", str(out))

    assert result.stdout == f"{out / 'embeddings.parquet'}\n"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "embeddings.parquet": EMBEDDINGS
    }


def test_a_stage_that_goes_on_is_told_once_per_cent(command: Service):
    claim = command.embed()
    for step in (500, 500, 503, 510):
        told = {"step": step, "steps": 1000, "fraction": step / 1000, "stage": "embedding"}
        command.store.record(claim.lease, Report(progress=told))
    command.store.succeed(claim.lease)

    lines = run("watch", claim.job.id).stderr.splitlines()

    assert [line for line in lines if "embedding" in line] == [" 50%  embedding", " 51%  embedding"]


def test_a_submitted_job_can_be_watched_to_its_end(
    command: Service, monkeypatch: pytest.MonkeyPatch
):
    def cancel(client: Client, job_id: str, *, after: int = 0) -> Iterator[Event]:
        command.store.request_cancel(job_id)
        return watch(client, job_id, after=after)

    watch = Client.watch
    monkeypatch.setattr(Client, "watch", cancel)

    result = run("submit", "made", "--preset", "small", "--watch")

    assert result.exit_code == 1
    assert "cancelled on request" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "other"], "dataset 'other' does not exist; known: made"),
        (["submit", "made", "--set", "training.epoch=1"], "did you mean training.epochs?"),
        (["submit", "made", "--config", "absent.yaml"], "cannot read absent.yaml"),
        (["submit"], "name the dataset"),
        (["submit", "made", "--dataset", "made"], "name one dataset"),
        (["submit", "made", "--label", "hr_bpm"], "add --kind evaluate"),
        (["submit", "made", "--kind", "embed", "--label", "hr_bpm"], "add --kind evaluate"),
        (["submit", "made", "--model", "default"], "add --kind evaluate or --kind embed"),
        (["submit", "made", "--kind", "evaluate"], "dataset 'made' has no labels"),
        (["report", "job_00"], "no job has the id 'job_00'"),
        (["show", "job_00"], "no job has the id 'job_00'"),
        (["list", "--status", "happy"], "status"),
        (["losses", "job_00", "--split", "test"], "query.split: Input should be 'train'"),
        (["download", "job_00", "--out", "x"], "no job has the id"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    command: Service,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_service_that_is_not_there_is_exit_code_1(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ppgssl.client.wire.FIRST_DELAY_S", 0.0)

    result = run("list", "--url", "http://127.0.0.1:9")

    assert result.exit_code == 1
    assert "is the service running?" in result.stderr


def test_the_key_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(settings_in(tmp_path, api_key="tell-nobody")) as service:
        refused = run("list", "--url", service.url)
        monkeypatch.setenv("PPGSSL_API_KEY", "tell-nobody")
        taken = run("list", "--url", service.url, "--json")

    assert refused.exit_code == 2
    assert "needs its key" in refused.stderr
    assert json.loads(taken.stdout) == []
