"""Which encoders are in memory, and for how long."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_service import Service

from api.loaded_encoders import LoadedEncoders
from ppgssl.inference import encoder as inference


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that encoders were loaded from."""
    folders, load = list[str](), inference.load_encoder

    def noted(source, device):
        folders.append(str(source))
        return load(source, device)

    monkeypatch.setattr(inference, "load_encoder", noted)
    return folders


def loaded(service: Service, *, cache_bytes: int) -> LoadedEncoders:
    settings = service.settings.model_copy(update={"encoder_cache_bytes": cache_bytes})
    return LoadedEncoders(service.store, settings)


def trained(service: Service, make_encoder, *base_filters: int) -> list[str]:
    folders = [make_encoder(f"model.base_filters={filters}") for filters in base_filters]
    return [service.trained((folder / "best").resolve()).id for folder in folders]


def test_the_least_recently_used_encoder_leaves_when_memory_is_short(
    service: Service, make_encoder, loads: list[str]
):
    a, b, c = trained(service, make_encoder, 2, 3, 4)
    all_kept = loaded(service, cache_bytes=2**30)
    num_bytes = sum(all_kept.get(job).num_bytes for job in (a, b, c))
    encoders = loaded(service, cache_bytes=num_bytes - 1)
    loads.clear()

    for job in (a, b, a, c, a):
        encoders.get(job)
    assert len(loads) == 3
    encoders.get(b)

    assert len(loads) == 4


def test_an_encoder_larger_than_the_cache_is_used_all_the_same(
    service: Service, make_encoder, loads: list[str]
):
    (job,) = trained(service, make_encoder, 2)
    encoders = loaded(service, cache_bytes=0)

    assert encoders.get(job) is encoders.get(job)
    assert len(loads) == 1


def test_two_requests_at_once_load_an_encoder_once(service: Service, loads: list[str]):
    encoders = loaded(service, cache_bytes=2**30)
    together = threading.Barrier(4)

    def get(_: int) -> object:
        together.wait(timeout=10)
        return encoders.get("default")

    with ThreadPoolExecutor(4) as requests:
        found = set(requests.map(get, range(4)))

    assert (len(found), len(loads)) == (1, 1)


def test_two_names_of_the_same_weights_share_one_encoder(
    service: Service, best_folder: Path, loads: list[str]
):
    first, second = service.trained(best_folder).id, service.trained(best_folder).id
    encoders = loaded(service, cache_bytes=2**30)

    assert encoders.get(first) is encoders.get(second)
