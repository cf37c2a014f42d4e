"""What every answer tells a browser, whoever gives it: a route, a middleware, or a bug."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import browsing, wait_until
from live_service import Service, serving, settings_in

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """For tests that change nothing."""
    with serving(settings_in(tmp_path_factory.mktemp("service"))) as service:
        yield service


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/", 200), ("/docs", 200), ("/static/app.js", 200), ("/openapi.json", 200)),
        *(("/healthz", 200), ("/metrics", 200), ("/v1/jobs", 200), ("/v1/jobs/job_0", 404)),
        *(("/nothing", 404), ("/redoc", 404)),
    ],
)
def test_every_answer_may_not_be_framed_guessed_at_or_taken_elsewhere(
    looked_at: Service, path: str, status: int
):
    answer = looked_at.http.get(path)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_answers_of_the_middleware_have_the_headers_too(tmp_path: Path):
    with serving(settings_in(tmp_path, api_key="tell-nobody")) as service:
        answers = [
            service.http.get("/v1/jobs"),
            service.http.post("/v1/jobs", headers={"Origin": "https://evil.example"}),
        ]

    assert [answer.status_code for answer in answers] == [401, 403]
    assert [ALWAYS.items() <= dict(answer.headers).items() for answer in answers] == [True, True]


def test_an_answer_to_a_bug_has_the_headers_too(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.routes.datasets.dataset_names", lambda _: 1 / 0)

    answer = service.http.get("/v1/datasets")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "division" not in answer.text
    assert ALWAYS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/job_0", "/metrics"])
def test_what_a_browser_shows_of_jobs_it_does_not_keep(looked_at: Service, path: str):
    assert looked_at.http.get(path).headers["cache-control"] == "no-store"


def test_a_download_may_be_kept_and_must_be_asked_for(trained: tuple[Service, str]):
    service, job_id = trained

    answer = service.http.get(f"/v1/jobs/{job_id}/checkpoints/best/encoder.json")

    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_documentation_loads_nothing_from_elsewhere(looked_at: Service):
    page = looked_at.http.get("/docs")

    loaded = re.findall(r'<(?:script|link)[^>]+(?:src|href)="([^"]+)"', page.text)
    assert any(path.endswith("swagger-ui-bundle.js") for path in loaded)
    assert [path for path in loaded if looked_at.http.get(path).status_code != 200] == []
    assert all(path.startswith("/static/") for path in loaded)
    assert "https:" not in page.headers["content-security-policy"]
    assert "<script>" not in page.text


@pytest.mark.browser
def test_the_documentation_shows_the_routes_without_a_network(looked_at: Service):
    with browsing() as page:
        page.goto(f"{looked_at.url}/docs")
        wait_until(page, "document.body.innerText.includes('/v1/embeddings')")


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_no_page_is_refused_anything_by_its_own_policy(looked_at: Service, path: str):
    told: list[str] = []
    with browsing() as page:
        page.on("console", lambda message: told.append(message.text))
        page.goto(f"{looked_at.url}{path}")
        wait_until(
            page, "document.readyState === 'complete' && document.body.innerText.length > 20"
        )

    assert [text for text in told if "Content Security Policy" in text] == []
