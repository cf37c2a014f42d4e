"""Names that come over the network lead to nothing outside the data and the artifact root.

Each request is sent as it stands, by a client that tidies no path; the secret lies beside the
roots, where one `..` too many would find it.
"""

import http.client
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_service import Service, make_dataset, serving, settings_in

from ppgssl.jobs.records import CheckpointFile, NewCheckpoint, Report

SECRET = "of-nobodys-business"

NAMES = [
    *("../outside", "../../outside", "made/../../outside", "..", "../", ".", "./../outside"),
    *("/etc", "//etc", "/outside", "linked", "linked/inner", "made/linked"),
    *("%2e%2e/outside", "..%2foutside", "%2Fetc", "..%252foutside", "..%c0%afoutside"),
    *("..\\outside", "C:\\outside", "\\\\host\\outside", "~", "~root", "file:///etc"),
    *("made\0", "\0", "../outside\0.json", "", " ", "a" * 5000),
]
PATHS = [
    *("../outside", "..", "%2e%2e", "%2e%2e/outside", "..%2foutside", "..%2f..%2foutside/secret"),
    *("%2fetc%2fpasswd", "/etc/passwd", "%5c..%5coutside", "..%252foutside", "..%c0%afoutside"),
    *("%00", "a%00b", "secret%00.json", "linked", "linked/secret", "~", "%7eroot"),
]


@dataclass(frozen=True)
class Target:
    """A service with a job, an evaluation, embeddings, and links that lead out of both roots."""

    service: Service
    trained_id: str
    evaluated_id: str
    embedded_id: str

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Status and body of the answer to exactly this request."""
        connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"))
        connection.request(
            method,
            path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, text


@pytest.fixture(scope="module")
def target(best_folder: Path) -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_dataset(folder / "outside", labels={SECRET: 1.0})
        (folder / "outside" / "secret").write_text(SECRET)
        with serving(settings_in(folder)) as service:
            make_dataset(service.settings.data_root / "made")
            for root in (service.settings.data_root, service.settings.artifact_root):
                (root / "linked").symlink_to(folder / "outside")
            (service.settings.data_root / "made" / "linked").symlink_to(folder / "outside")
            results = service.evaluated().id, service.embedded().id
            yield Target(service, service.trained(best_folder).id, *results)


def assert_refused(answer: tuple[int, str]) -> None:
    status, text = answer
    assert 400 <= status < 500, answer
    assert SECRET not in text


@pytest.mark.parametrize("name", NAMES)
def test_no_datasets_name_leaves_the_data_root(target: Target, name: str):
    body = {"kind": "pretrain", "dataset": name, "preset": "small"}

    assert_refused(target.ask("POST", "/v1/jobs", body))
    assert_refused(target.ask("POST", "/v1/jobs", {"kind": "embed", "dataset": name}))


def test_a_link_out_of_the_data_root_is_not_listed(target: Target):
    status, text = target.ask("GET", "/v1/datasets")

    assert (status, [dataset["name"] for dataset in json.loads(text)["data"]]) == (200, ["made"])


@pytest.mark.parametrize("name", NAMES)
def test_no_presets_name_leads_to_another_file(target: Target, name: str):
    body = {"kind": "pretrain", "dataset": "made", "preset": name}

    assert_refused(target.ask("POST", "/v1/jobs", body))


@pytest.mark.parametrize("name", NAMES)
def test_no_models_name_leads_to_a_folder(target: Target, name: str):
    window = {"model": name, "input": [[0.0] * 1250], "fs_hz": 125}

    assert_refused(target.ask("POST", "/v1/embeddings", window))
    for kind in ("evaluate", "embed"):
        asked = {"kind": kind, "dataset": "made", "config": {"model": name}}
        assert_refused(target.ask("POST", "/v1/jobs", asked))


@pytest.mark.parametrize("name", NAMES)
def test_no_alias_points_at_a_path(target: Target, name: str):
    body = {"job_id": target.trained_id, "checkpoint": name}

    assert_refused(target.ask("PUT", "/v1/models/production", body))
    assert_refused(target.ask("PUT", "/v1/models/production", {"job_id": name}))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "place",
    [
        *("/v1/jobs/{}", "/v1/jobs/{}/logs", "/v1/jobs/{}/events", "/v1/jobs/{}/report/report.md"),
        *("/v1/jobs/{trained}/checkpoints/{}/encoder.json",),
        *("/v1/jobs/{trained}/checkpoints/best/{}", "/v1/jobs/{evaluated}/report/{}"),
        *("/v1/jobs/{embedded}/embeddings/{}",),
        *("/v1/datasets/{}", "/v1/datasets/{}/quality", "/v1/datasets/{}/windows/0"),
        *("/v1/models/{}", "/static/{}", "/v1/{}", "/{}"),
    ],
)
def test_no_path_reaches_a_file_beside_the_roots(target: Target, place: str, path: str):
    ids = {"trained": target.trained_id, "evaluated": target.evaluated_id}
    where = place.format(path, **ids, embedded=target.embedded_id)

    assert_refused(target.ask("GET", where))


@pytest.mark.parametrize("path", [path for path in PATHS if path != "linked"])
def test_no_alias_is_named_by_a_path(target: Target, path: str):
    assert_refused(target.ask("PUT", f"/v1/models/{path}", {"job_id": target.trained_id}))


def test_a_link_in_a_report_is_not_followed(service: Service, tmp_path: Path):
    job = service.evaluated()
    (tmp_path / "secret").write_text(SECRET)
    [report] = service.settings.artifact_root.rglob("report.json")
    (report.parent / "picture.png").symlink_to(tmp_path / "secret")

    listed = service.http.get(f"/v1/jobs/{job.id}/report")
    answer = service.http.get(f"/v1/jobs/{job.id}/report/picture.png")

    assert "picture.png" not in [file["name"] for file in listed.json()["files"]]
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


def test_an_encoder_outside_the_artifact_root_is_not_embedded_with(
    service: Service, best_folder: Path
):
    claim = service.run()
    files = [
        CheckpointFile(path.name, "00" * 32, path.stat().st_size)
        for path in sorted(best_folder.iterdir())
    ]
    outside = NewCheckpoint("best", 1, 1, 0.5, str(best_folder), files)
    service.store.record(claim.lease, Report(checkpoints=[outside]))
    service.store.succeed(claim.lease)

    answer = service.http.post(
        "/v1/embeddings", json={"model": claim.job.id, "input": [[0.0] * 1250], "fs_hz": 125}
    )

    assert answer.json()["code"] == "checkpoint_invalid"
    assert "does not lie in the artifact root" in answer.json()["detail"]
