"""Reports of evaluations over HTTP: as JSON, as Markdown, as files, and where there is none."""

import base64
import hashlib

import httpx
import pytest
from live_service import REPORT, Service

PICTURE = REPORT["hr_bpm.png"]


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_report_is_json_with_its_files_listed(service: Service):
    job = service.evaluated()

    report = service.http.get(f"/v1/jobs/{job.id}/report").json()

    assert report == {
        "windows": 7,
        "files": [
            {"name": name, "size": len(REPORT[name]), "sha256": sha256(REPORT[name])}
            for name in sorted(REPORT)
        ],
    }


@pytest.mark.parametrize(
    ("accept", "params"),
    [
        ("text/markdown", {}),
        ("text/*, application/json;q=0.5", {}),
        ("application/json", {"format": "md"}),
    ],
)
def test_a_report_is_markdown_where_that_is_asked_for(
    service: Service, accept: str, params: dict[str, str]
):
    job = service.evaluated()

    answer = service.http.get(
        f"/v1/jobs/{job.id}/report", headers={"Accept": accept}, params=params
    )

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == "# Report\n0.5 ± 0.1\n"


def test_a_report_of_another_type_is_refused(service: Service):
    job = service.evaluated()

    answer = service.http.get(f"/v1/jobs/{job.id}/report", headers={"Accept": "image/png"})

    assert problem_of(answer) == (406, "not_acceptable")


def test_a_picture_is_downloaded_with_its_sha256(service: Service):
    url = f"/v1/jobs/{service.evaluated().id}/report/hr_bpm.png"

    answer = service.http.get(url)
    again = service.http.get(url, headers={"If-None-Match": answer.headers["etag"]})
    part = service.http.get(url, headers={"Range": "bytes=1-3"})

    digest = base64.b64encode(hashlib.sha256(PICTURE).digest()).decode()
    assert answer.content == PICTURE
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == f'"{sha256(PICTURE)}"'
    assert answer.headers["digest"] == f"sha-256={digest}"
    assert again.status_code == 304
    assert (part.status_code, part.content) == (206, b"PNG")


@pytest.mark.parametrize("name", ["other.png", "..%2F..%2Forder.json", "%2Fetc%2Fpasswd"])
def test_a_file_that_the_report_does_not_have_is_not_found(service: Service, name: str):
    job = service.evaluated()

    answer = service.http.get(f"/v1/jobs/{job.id}/report/{name}")

    assert problem_of(answer)[0] == 404


def test_a_training_run_has_no_report(service: Service):
    job = service.queue()

    answer = service.http.get(f"/v1/jobs/{job.id}/report")

    assert problem_of(answer) == (404, "report_not_found")
    assert "'pretrain'" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["report", "report/hr_bpm.png"])
def test_an_evaluation_that_has_not_finished_has_no_report_yet(service: Service, path: str):
    claim = service.evaluate()

    answer = service.http.get(f"/v1/jobs/{claim.job.id}/{path}")

    assert problem_of(answer) == (409, "job_state_conflict")
    assert answer.json()["job_status"] == "running"
    assert "wait until it has succeeded" in answer.json()["detail"]


def test_a_report_that_the_disk_lost_is_gone(service: Service):
    job = service.evaluated({"report.json": b"{}"})

    answer = service.http.get(f"/v1/jobs/{job.id}/report")

    assert problem_of(answer) == (410, "file_gone")
