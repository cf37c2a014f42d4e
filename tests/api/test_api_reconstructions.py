"""Reconstructions over HTTP: while a run goes on, of the claim that counts, and every refusal."""

from pathlib import Path

import numpy as np
import pytest
from live_service import LEASE, Service

from ppgssl.jobs.records import Claim
from ppgssl.training.reconstruction_files import FOLDER, ShownWindows, write_epoch, write_windows

FS_HZ = 125.0
PULSE = np.sin(2 * np.pi * 2.0 * np.arange(1250) / FS_HZ, dtype=np.float32)[None] * np.sqrt(2)


def put_down(service: Service, claim: Claim, *, scale: float = 0.5, times: int = 1) -> Path:
    """Two epochs of one window of ten seconds, or so many times that: the mean, then `scale`."""
    folder = service.settings.attempt_folder(claim.job.id, claim.lease.number) / FOLDER
    pulse = np.tile(PULSE.astype(np.float32), times)
    described = [{"window_id": 3, "recording_id": "r", "start_s": float("nan")}]
    write_windows(folder, ShownWindows(described, pulse + 1, pulse, FS_HZ))
    write_epoch(folder, 1, np.zeros_like(pulse))
    write_epoch(folder, 2, (scale * pulse).astype(np.float32))
    return folder


def test_a_run_has_none_before_its_first_epoch_ends(service: Service):
    claim = service.run()

    told = service.http.get(f"/v1/jobs/{claim.job.id}/reconstructions").json()

    assert told == {"epochs": [], "windows": [], "fs_hz": None, "samples": None}


def test_windows_and_epochs_are_listed_while_the_run_goes_on(service: Service):
    claim = service.run()
    put_down(service, claim)

    told = service.http.get(f"/v1/jobs/{claim.job.id}/reconstructions").json()

    assert (told["epochs"], told["fs_hz"], told["samples"]) == ([1, 2], FS_HZ, 1250)
    [window] = told["windows"]
    assert (window["window_id"], window["recording_id"], window["start_s"]) == (3, "r", None)


def test_a_window_comes_as_curves_with_what_they_explain_and_their_spectra(service: Service):
    claim = service.run()
    put_down(service, claim)
    url = f"/v1/jobs/{claim.job.id}/reconstructions"

    mean, half = (service.http.get(f"{url}/{epoch}/0").json() for epoch in (1, 2))

    peak = max(half["spectra"]["target"], key=lambda point: point[1])
    assert mean["explained_variance"] == pytest.approx(0.0, abs=1e-6)
    assert half["explained_variance"] == pytest.approx(0.75, abs=1e-6)
    assert peak[0] == pytest.approx(2.0)
    assert half["spectra"]["target"][-1][0] <= 10
    np.testing.assert_allclose(half["curves"]["residual"], half["curves"]["output"], atol=1e-6)
    assert half["curves"]["input"][10][1] == pytest.approx(half["curves"]["target"][10][1] + 1)


def test_a_part_is_thinned_by_itself(service: Service):
    claim = service.run()
    put_down(service, claim)

    params = {"from_s": 2, "to_s": 4, "max_points": 40}
    part = service.http.get(f"/v1/jobs/{claim.job.id}/reconstructions/2/0", params=params).json()

    seconds = [at for at, _ in part["curves"]["output"]]
    assert (seconds[0], seconds[-1]) == (2, 4)
    assert len(seconds) <= 40


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("3/0", "epoch_not_found", "of epoch 3; it has 1, 2"),
        ("2/1", "window_not_found", "reconstructs 1 windows"),
    ],
)
def test_what_is_not_kept_is_named(service: Service, path: str, code: str, said: str):
    claim = service.run()
    put_down(service, claim)

    answer = service.http.get(f"/v1/jobs/{claim.job.id}/reconstructions/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert said in answer.json()["detail"]


def test_a_claim_without_any_yet_shows_those_of_the_claim_before(service: Service):
    first = service.run()
    put_down(service, first)
    service.store.hand_back(first.lease, "stopped")
    second = service.store.claim("worker-2", ["pretrain"], LEASE)
    assert second is not None
    url = f"/v1/jobs/{first.job.id}/reconstructions"

    before = service.http.get(url).json()["epochs"]
    put_down(service, second, scale=1.0)
    explained = service.http.get(f"{url}/2/0").json()["explained_variance"]

    assert (before, explained) == ([1, 2], 1.0)


def test_a_link_out_of_the_artifact_root_is_not_followed(service: Service, tmp_path: Path):
    claim = service.run()
    folder = put_down(service, claim)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    assert service.http.get(f"/v1/jobs/{claim.job.id}/reconstructions").json()["epochs"] == []
