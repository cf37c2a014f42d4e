"""Checkpoints, models and datasets: what is listed can be fetched, and nothing else."""

import base64
import hashlib
import shutil
from pathlib import Path

import httpx
import pytest
from live_service import Service, make_dataset

from ppgssl.jobs.records import CheckpointFile, NewCheckpoint, Report

Trained = tuple[Service, str]
WEIGHTS = "encoder.safetensors"


def fetch(trained: Trained, path: str = f"best/{WEIGHTS}", **headers: str) -> httpx.Response:
    service, job_id = trained
    return service.http.get(f"/v1/jobs/{job_id}/checkpoints/{path}", headers=headers)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_checkpoint_is_downloaded_as_it_is_listed(trained: Trained, best_folder: Path):
    service, job_id = trained
    (best,) = service.http.get(f"/v1/jobs/{job_id}/checkpoints").json()["data"]
    sizes = {file["name"]: file["size"] for file in best["files"]}

    answer = fetch(trained)

    content = (best_folder / WEIGHTS).read_bytes()
    digest = hashlib.sha256(content)
    assert answer.content == content
    assert sizes == {path.name: path.stat().st_size for path in best_folder.iterdir()}
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["digest"] == f"sha-256={base64.b64encode(digest.digest()).decode()}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{WEIGHTS}"'


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10-", slice(10, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=5-999999999", slice(5, None)),
    ],
)
def test_a_range_is_that_part_of_the_file(
    trained: Trained, best_folder: Path, asked: str, expected: slice
):
    content = (best_folder / WEIGHTS).read_bytes()

    answer = fetch(trained, Range=asked)

    start, stop, _ = expected.indices(len(content))
    assert answer.status_code == 206
    assert answer.content == content[expected]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(trained: Trained, best_folder: Path, asked: str):
    answer = fetch(trained, Range=asked)

    size = (best_folder / WEIGHTS).stat().st_size
    assert problem_of(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=-", "lines=0-1", "?"])
def test_a_range_that_may_be_ignored_is_the_whole_file(trained: Trained, asked: str):
    answer = fetch(trained, Range=asked)

    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"])


def test_an_unchanged_file_is_not_sent_again(trained: Trained):
    etag = fetch(trained).headers["etag"]

    same = fetch(trained, **{"If-None-Match": f'"other", W/{etag}'})
    part = fetch(trained, Range="bytes=0-3", **{"If-Range": etag})
    changed = fetch(trained, Range="bytes=0-3", **{"If-Range": '"other"'})

    assert (same.status_code, same.content) == (304, b"")
    assert part.status_code == 206
    assert changed.status_code == 200


def test_the_head_of_a_file_says_its_size(trained: Trained):
    service, job_id = trained

    answer = service.http.head(f"/v1/jobs/{job_id}/checkpoints/best/{WEIGHTS}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"last/{WEIGHTS}", "checkpoint_not_found"),
        (f"epoch-3/{WEIGHTS}", "checkpoint_not_found"),
        (f"steps/{WEIGHTS}", "checkpoint_not_found"),
        (f"epoch-/{WEIGHTS}", "checkpoint_not_found"),
        (f"%2e%2e/{WEIGHTS}", "checkpoint_not_found"),
        ("best/other.txt", "file_not_found"),
        ("best/..%5c..%5cppgssl.sqlite", "file_not_found"),
        ("best/%2e%2e", "file_not_found"),
        ("best/a%00b", "file_not_found"),
        ("best/..%2F..%2Fppgssl.sqlite", "route_not_found"),
        ("best/%2fetc%2fpasswd", "route_not_found"),
    ],
)
def test_no_path_leads_out_of_the_checkpoint(trained: Trained, path: str, code: str):
    assert problem_of(fetch(trained, path)) == (404, code)


def test_a_link_out_of_the_artifact_root_is_not_followed(
    service: Service, best_folder: Path, tmp_path: Path
):
    claim = service.run()
    folder = service.save(claim, "best", best_folder)
    secret = tmp_path / "secret"
    secret.write_bytes((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(secret)

    assert problem_of(fetch((service, claim.job.id))) == (404, "file_not_found")


def test_a_folder_outside_the_artifact_root_is_not_read(service: Service, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    claim = service.run()
    files = [CheckpointFile("secret", "00" * 32, 6)]
    new = NewCheckpoint("last", 1, 1, None, "../../" + tmp_path.name, files)
    service.store.record(claim.lease, Report(checkpoints=[new]))

    answer = fetch((service, claim.job.id), "last/secret")

    assert problem_of(answer) == (404, "file_not_found")


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_file_that_is_not_as_it_was_listed_is_gone(
    service: Service, best_folder: Path, damage: str
):
    job = service.trained(best_folder)
    (path,) = (service.settings.job_folder(job.id) / "steps").glob(f"*/{WEIGHTS}")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"short")

    assert problem_of(fetch((service, job.id))) == (410, "file_gone")


def test_checkpoints_are_listed_page_by_page(service: Service, best_folder: Path):
    claim = service.run()
    for step, name in enumerate(["best", "epoch-10", "last"], start=1):
        service.save(claim, name, best_folder, step=step)
    url = f"/v1/jobs/{claim.job.id}/checkpoints"

    first = service.http.get(url, params={"limit": 2}).json()
    second = service.http.get(url, params={"after": first["next"]}).json()

    assert [row["name"] for row in first["data"]] == ["best", "epoch-10"]
    assert [row["name"] for row in second["data"]] == ["last"]
    assert problem_of(service.http.get(url, params={"after": "epoch-9"}))[1] == "cursor_invalid"


# ------------------------------------------------------------------------------------------ models


def test_an_alias_moves_from_one_encoder_to_another(service: Service, best_folder: Path):
    old, new = service.trained(best_folder), service.trained(best_folder)

    first = service.http.put("/v1/models/production", json={"job_id": old.id})
    second = service.http.put("/v1/models/production", json={"job_id": new.id})

    assert (first.status_code, first.json()["job_id"]) == (200, old.id)
    assert second.json()["checkpoint"] == "best"
    assert service.http.get("/v1/models/production").json()["id"] == new.id
    listed = service.http.get("/v1/models").json()["data"]
    assert [(model["id"], model["aliases"]) for model in listed] == [
        ("default", []),
        (new.id, ["production"]),
        (old.id, []),
    ]


def test_a_model_says_what_it_takes_and_gives(trained: Trained):
    service, job_id = trained

    model = service.http.get(f"/v1/models/{job_id}").json()

    assert (model["fs_hz"], model["window_samples"], model["embedding_dim"]) == (125, 1250, 512)
    assert len(model["sha256"]) == 64


@pytest.mark.parametrize("alias", ["default", "job_1", "a b", ".hidden", "x" * 65, "é"])
def test_an_impossible_alias_is_refused(trained: Trained, alias: str):
    service, job_id = trained

    answer = service.http.put(f"/v1/models/{alias}", json={"job_id": job_id})

    assert problem_of(answer) == (422, "alias_invalid")


def test_an_alias_needs_a_job_with_that_checkpoint(trained: Trained):
    service, job_id = trained

    def put(**body: str) -> tuple[int, str]:
        return problem_of(service.http.put("/v1/models/staging", json=body))

    assert put(job_id="job_00") == (404, "job_not_found")
    assert put(job_id=job_id, checkpoint="epoch-3") == (404, "checkpoint_not_found")
    assert put() == (422, "request_invalid")


@pytest.mark.parametrize("model", ["nobody", "job_00"])
def test_an_unknown_model_is_not_found(trained: Trained, model: str):
    assert problem_of(trained[0].http.get(f"/v1/models/{model}")) == (404, "model_not_found")


def test_models_have_cursors_of_their_own(trained: Trained):
    answer = trained[0].http.get("/v1/models", params={"after": "job_00"})

    assert problem_of(answer) == (422, "cursor_invalid")


def test_a_damaged_encoder_is_refused_and_its_neighbours_still_embed(
    service: Service, best_folder: Path
):
    broken, sound = service.trained(best_folder), service.trained(best_folder)
    (path,) = (service.settings.job_folder(broken.id) / "steps").glob(f"*/{WEIGHTS}")
    path.write_bytes(bytes(path.stat().st_size))
    window = [[float(n % 100) for n in range(1250)]]

    def embed(job_id: str) -> httpx.Response:
        return service.http.post("/v1/embeddings", json={"model": job_id, "input": window})

    assert problem_of(embed(broken.id)) == (422, "checkpoint_invalid")
    assert embed(sound.id).status_code == 200


# ---------------------------------------------------------------------------------------- datasets


def test_datasets_are_listed_with_their_figures_and_damaged_ones_with_their_error(
    service: Service,
):
    root = service.settings.data_root
    for name in ("a", "b", "c"):
        make_dataset(root / name)
    (root / "b" / "dataset.json").write_text("{")
    (root / "no-dataset").mkdir()

    first = service.http.get("/v1/datasets", params={"limit": 2}).json()
    second = service.http.get("/v1/datasets", params={"after": first["next"]}).json()

    sound, damaged = first["data"]
    assert (sound["name"], sound["fs_hz"], sound["window_samples"]) == ("a", 125, 1250)
    assert sound["counts"] == {"train": 2, "val": 0, "test": 0}
    assert (damaged["name"], damaged["error"]["code"]) == ("b", "dataset_invalid")
    assert [dataset["name"] for dataset in second["data"]] == ["c"]


def test_a_data_root_that_does_not_exist_holds_no_datasets(service: Service):
    shutil.rmtree(service.settings.data_root)

    assert service.http.get("/v1/datasets").json() == {"data": [], "has_more": False, "next": None}


def test_the_config_schema_tells_each_settings_default_and_meaning(service: Service):
    schema = service.http.get("/v1/config-schema").json()

    epochs = schema["$defs"]["TrainingConfig"]["properties"]["epochs"]
    assert (epochs["default"], epochs["minimum"], epochs["maximum"]) == (50, 1, 10_000)
    assert schema["properties"]["training"]["default"]["epochs"] == 50


def test_presets_are_listed_with_what_they_mean(service: Service):
    presets = {p["name"]: p["config"] for p in service.http.get("/v1/presets").json()["data"]}

    assert presets["ssl_pretraining"]["data"]["window_seconds"] == 600
