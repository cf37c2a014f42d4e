"""The client against the real service: whatever it sends and reads is what the service takes."""

import asyncio
import inspect
import threading
from pathlib import Path

import numpy as np
import pytest
from live_service import EMBEDDINGS, REPORT, Service, make_dataset, summary_of

from ppgssl.client import ENCODER_FILES, AsyncClient, Client, Embeddings, Event, RefusedError
from ppgssl.errors import ServiceError
from ppgssl.inference.encoder import load_encoder

Trained = tuple[Service, str]


def pulses(count: int, samples: int = 1250) -> np.ndarray:
    rates_hz = np.linspace(1, 2, count)[:, None]
    return np.sin(2 * np.pi * rates_hz * np.arange(samples) / 125).astype(np.float32)


def test_a_job_is_submitted_listed_paused_resumed_and_cancelled(service: Service):
    make_dataset(service.settings.data_root / "made")
    with Client(service.url) as client:
        job = client.submit("made", preset="small", config={"seed": 7}, name="mine")

        assert client.get(job.id) == job
        assert (job.config["seed"], job.name, job.status) == (7, "mine", "queued")
        assert [found.id for found in client.jobs(dataset="made")] == [job.id]
        assert client.pause(job.id).status == "paused"
        assert client.resume(job.id).status == "queued"
        assert client.cancel(job.id).status == "cancelled"
        assert client.wait(job.id).is_finished


def test_two_submissions_make_two_jobs_unless_they_share_a_key(service: Service):
    make_dataset(service.settings.data_root / "made")
    with Client(service.url) as client:
        first, second = client.submit("made", preset="small"), client.submit("made", preset="small")
        one, same = (client.submit("made", preset="small", idempotency_key="k") for _ in range(2))

    assert first.id != second.id
    assert one.id == same.id


def test_all_pages_of_a_list_are_read(service: Service):
    ids = [service.queue().id for _ in range(25)]

    with Client(service.url) as client:
        assert [job.id for job in client.jobs()] == ids[::-1]


def test_losses_and_logs_are_those_of_the_run(service: Service):
    claim = service.run()
    service.record(claim, [1, 2], log_lines=["hello"])

    with Client(service.url) as client:
        points = client.losses(claim.job.id, after_step=1)
        lines = list(client.logs(claim.job.id))

    assert [(p.step, p.split, p.values) for p in points] == [
        (2, "train", {"total": 0.5, "mse": 0.5})
    ]
    assert [(line.line, line.text) for line in lines] == [(1, "hello")]


def test_waiting_returns_when_the_job_has_finished(service: Service):
    claim = service.run()
    threading.Timer(0.2, service.store.succeed, [claim.lease]).start()

    with Client(service.url) as client:
        job = client.wait(claim.job.id, timeout_s=10, poll_s=0.05)

    assert job.status == "succeeded"


def test_a_downloaded_encoder_embeds_as_the_service_does(trained: Trained, tmp_path: Path):
    service, job_id = trained
    windows = pulses(3)

    with Client(service.url) as client:
        paths = client.download(job_id, tmp_path)
        remote = client.embed(windows, fs_hz=125, model=job_id)

    local = load_encoder(tmp_path).embed(windows, fs_hz=125)
    assert [path.name for path in paths] == ["encoder.safetensors", "encoder.json"]
    np.testing.assert_array_equal(remote.embedding, local.embedding)
    np.testing.assert_array_equal(remote.quality, local.quality)


def test_all_files_of_a_checkpoint_are_downloaded(
    trained: Trained, best_folder: Path, tmp_path: Path
):
    service, job_id = trained

    with Client(service.url) as client:
        client.download(job_id, tmp_path, files=None)

    for path in best_folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_windows_that_do_not_fit_one_request_travel_in_several(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
):
    service, job_id = trained
    windows = pulses(5)
    with Client(service.url) as client:
        at_once = client.embed(windows, model=job_id)
        monkeypatch.setattr("ppgssl.client.calls.EMBED_BYTES", 2 * windows[0].nbytes)

        in_parts = client.embed(windows, model=job_id)

    np.testing.assert_allclose(in_parts.embedding, at_once.embedding, atol=1e-5)
    assert in_parts.quality.shape == (5,)


def test_one_window_many_of_different_lengths_and_none_are_embedded(trained: Trained):
    service, job_id = trained
    with Client(service.url) as client:
        one = client.embed(pulses(1)[0].astype(np.float64), model=job_id)
        many = client.embed([pulses(1)[0], pulses(1, 2500)[0]], model=job_id)
        none = client.embed(np.empty((0, 1250)), model=job_id)

    assert one.embedding.shape == (1, 512)
    np.testing.assert_allclose(many.embedding[0], one.embedding[0], atol=1e-6)
    assert (len(many.embedding), len(none.embedding)) == (2, 0)


def test_a_bad_window_has_nan_and_its_reason_and_its_neighbours_are_embedded(trained: Trained):
    service, job_id = trained
    windows = pulses(3)
    windows[1] = 0

    with Client(service.url) as client:
        found = client.embed(windows, model=job_id)

    assert np.isnan(found.embedding).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(found.quality).tolist() == [False, True, False]
    assert found.faults.keys() == {1}
    assert found.faults[1].startswith("flat")


def test_refusals_keep_their_places_where_windows_travel_in_several_requests(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
):
    service, job_id = trained
    windows = pulses(5)
    windows[:3] = 0
    monkeypatch.setattr("ppgssl.client.calls.EMBED_BYTES", 2 * windows[0].nbytes)

    with Client(service.url) as client:
        found = client.embed(windows, model=job_id)
        segments = client.embed_segments(windows, model=job_id)
        with pytest.raises(RefusedError, match="window 0: flat"):
            client.embed(windows[:3], model=job_id)

    assert np.isfinite(found.embedding).all(axis=1).tolist() == [False] * 3 + [True] * 2
    assert found.faults.keys() == segments.faults.keys() == {0, 1, 2}
    np.testing.assert_array_equal(segments.index, np.repeat([3, 4], 5))
    np.testing.assert_allclose(segments.start_s[:5], np.arange(5) * 256 / 125)
    assert segments.embedding.shape == (10, 512)


def test_the_asynchronous_client_does_what_the_other_one_does(trained: Trained, tmp_path: Path):
    service, job_id = trained

    async def ask() -> tuple[Embeddings, Embeddings, list[str], list[Event], list[Path]]:
        async with AsyncClient(service.url) as client:
            first, second = await asyncio.gather(
                client.embed(pulses(2), model=job_id), client.embed(pulses(3), model=job_id)
            )
            models = [model.id async for model in client.models()]
            events = [event async for event in client.watch(job_id)]
            job = await client.wait(job_id)
            return first, second, models, events, await client.download(job.id, tmp_path)

    first, second, models, events, paths = asyncio.run(ask())

    with Client(service.url) as client:
        np.testing.assert_allclose(
            first.embedding, client.embed(pulses(2), model=job_id).embedding, atol=1e-5
        )
        assert models == [model.id for model in client.models()]
        assert events == list(client.watch(job_id))
        assert [path.name for path in paths] == list(ENCODER_FILES)
    assert second.embedding.shape == (3, 512)


def test_both_clients_offer_the_same_with_the_same_signatures():
    assert offered(Client) == offered(AsyncClient)


def offered(kind: type) -> set[tuple[str, tuple[str, ...]]]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {
        (name, tuple(inspect.signature(method).parameters))
        for name, method in methods
        if not name.startswith("_") and not name.endswith("close")
    }


def test_models_aliases_checkpoints_and_datasets_are_listed(trained: Trained):
    service, job_id = trained
    make_dataset(service.settings.data_root / "made")
    (service.settings.data_root / "broken").mkdir(exist_ok=True)
    (service.settings.data_root / "broken" / "dataset.json").write_text("{")
    with Client(service.url) as client:
        client.set_alias("production", job_id)
        default, model = client.models()
        (checkpoint,) = client.checkpoints(job_id)
        broken, made = client.datasets()

    assert (default.id, default.aliases) == ("default", [])
    assert (model.id, model.aliases, model.embedding_dim) == (job_id, ["production"], 512)
    assert checkpoint.name == "best"
    assert (made.counts["train"], made.window_samples) == (2, 1250)
    assert broken.error is not None


def test_an_evaluation_is_submitted_with_its_model_labels_and_settings(
    service: Service, best_folder: Path
):
    make_dataset(service.settings.data_root / "made", labels={"hr_bpm": 60.0})
    trained = service.trained(best_folder)

    with Client(service.url) as client:
        job = client.submit_evaluation(
            "made", model=trained.id, labels=["hr_bpm"], config={"seed": 3}, name="proof"
        )

    assert (job.kind, job.name) == ("evaluate", "proof")
    assert job.config["encoder"]["job_id"] == trained.id
    assert (job.config["labels"], job.config["seed"]) == (["hr_bpm"], 3)


def test_a_report_is_read_and_downloaded(service: Service, tmp_path: Path):
    job = service.evaluated()

    with Client(service.url) as client:
        report = client.report(job.id)
        markdown = client.report_markdown(job.id)
        paths = client.download_report(job.id, tmp_path / "report")

    assert report["windows"] == 7
    assert markdown.encode() == REPORT["report.md"]
    assert {path.name: path.read_bytes() for path in paths} == REPORT


def test_an_embedding_is_submitted_with_its_model_and_settings(service: Service, best_folder: Path):
    make_dataset(service.settings.data_root / "made")
    trained = service.trained(best_folder)

    with Client(service.url) as client:
        job = client.submit_embedding("made", model=trained.id, granularity="segment", name="all")

    assert (job.kind, job.name) == ("embed", "all")
    assert job.config["encoder"]["job_id"] == trained.id
    assert job.config["granularity"] == "segment"


def test_embeddings_are_summarised_and_downloaded(service: Service, tmp_path: Path):
    job = service.embedded()

    with Client(service.url) as client:
        told = client.embedded(job.id)
        (path,) = client.download_embeddings(job.id, tmp_path / "embeddings")

    assert told == summary_of(EMBEDDINGS)
    assert path == tmp_path / "embeddings" / "embeddings.parquet"
    assert path.read_bytes() == EMBEDDINGS


def test_what_the_service_refuses_is_told_in_its_words(service: Service):
    with Client(service.url) as client, pytest.raises(ServiceError) as error:
        client.submit("nothing")

    assert isinstance(error.value, RefusedError)
    assert (error.value.status, error.value.code) == (422, "dataset_invalid")
    assert error.value.detail.startswith("dataset 'nothing' does not exist; known: none yet, ")
    assert error.value.title == "Unprocessable Entity"
