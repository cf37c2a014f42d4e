"""A full disk: at a checkpoint, at a loss write, at a commit. Given room, the job goes on."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import damage
from pulse_jobs import make_pulses, pulse_config
from worker_bench import Bench, quick_settings, working

from ppgssl.jobs.records import NewJob
from ppgssl.jobs.settings import Settings

STEPS = 60
DISK_BYTES = 16 * 2**20


class SmallDisk:
    """A file system of a few MB that a test fills and empties again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not one byte."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def make_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "small", str(folder)], check=True
    )
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def wait_for_log(bench: Bench, words: str) -> None:
    deadline = time.monotonic() + 20
    while words not in bench.worker_logs():
        assert time.monotonic() < deadline, bench.worker_logs()
        time.sleep(0.02)


# ------------------------------------------------------------------------------ at a checkpoint


@pytest.fixture
def artifacts_on(disk: SmallDisk, settings: Settings) -> Iterator[Bench]:
    """Artifacts on the small disk; the job table, of each kind in turn, is elsewhere."""
    small = {"artifact_root": disk.folder, "min_free_bytes": 2**18}
    with working(settings.model_copy(update=small)) as bench:
        yield bench


@pytest.mark.root
def test_a_checkpoint_that_finds_no_room_is_written_once_there_is(
    disk: SmallDisk, artifacts_on: Bench, record_property
):
    bench = artifacts_on
    job_id = bench.create(steps=STEPS, step_s=0.02, max_attempts=2)
    bench.start_worker()
    bench.wait_for_step(job_id, 13)

    disk.fill()
    bench.wait_for_status(job_id, "queued")
    wait_for_log(bench, "claiming no job while")
    waiting = bench.store.get(job_id)
    disk.make_room()
    began = time.monotonic()
    bench.wait(job_id, lambda job: job.attempt == 2)
    record_property("claimed again after, s", round(time.monotonic() - began, 2))
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert (waiting.status, waiting.attempt) == ("queued", 1)
    assert "(checkpoint_write_failed)" in waiting.warnings[0]
    assert damage(bench, job_id, STEPS) == []


@pytest.mark.root
@pytest.mark.slow
def test_a_training_that_found_no_room_has_the_losses_of_one_that_did(
    disk: SmallDisk, artifacts_on: Bench
):
    bench = artifacts_on
    make_pulses(bench.settings.data_root / "pulses")
    config = pulse_config("training.epochs=20", "device=cpu")
    unlucky, lucky = (
        bench.store.create(NewJob("pretrain", config, dataset="pulses")).id for _ in range(2)
    )
    bench.start_worker([sys.executable, "-m", "worker"])
    bench.wait_for_step(unlucky, 9)

    disk.fill()
    bench.wait_for_status(unlucky, "queued")
    disk.make_room()
    for job_id in (unlucky, lucky):
        bench.wait_for_status(job_id, "succeeded")

    assert [bench.store.get(job_id).attempt for job_id in (unlucky, lucky)] == [2, 1]
    assert bench.history(unlucky) == bench.history(lucky)


# -------------------------------------------------------------------- at a loss write, at a commit


@pytest.fixture
def table_on(disk: SmallDisk, tmp_path: Path) -> Iterator[Bench]:
    """The job table on the small disk, artifacts elsewhere."""
    with working(quick_settings(tmp_path, f"sqlite:///{disk.folder}/jobs.sqlite")) as bench:
        yield bench


@pytest.mark.root
def test_losses_that_find_no_room_are_kept_until_there_is(disk: SmallDisk, table_on: Bench):
    bench = table_on
    job_id = bench.create(steps=STEPS, step_s=0.02, chatty=True)
    bench.start_worker()
    bench.wait_for_step(job_id, 13)

    disk.fill()
    wait_for_log(bench, "database or disk is full")
    disk.make_room()
    job = bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert job.attempt == 1
    assert damage(bench, job_id, STEPS) == []


@pytest.mark.root
def test_a_disk_that_stays_full_for_longer_than_a_lease_costs_one_attempt(
    disk: SmallDisk, table_on: Bench, record_property
):
    bench = table_on
    job_id = bench.create(steps=STEPS, step_s=0.05, chatty=True)
    bench.start_worker()
    bench.wait_for_step(job_id, 13)

    disk.fill()
    wait_for_log(bench, "its run was ended and nothing more is written")
    disk.make_room()
    began = time.monotonic()
    job = bench.wait(job_id, lambda job: job.attempt == 2)
    record_property("claimed again after, s", round(time.monotonic() - began, 2))
    bench.wait_for_status(job_id, "succeeded")
    bench.stop_workers()

    assert "(worker_lost)" in job.warnings[0]
    assert damage(bench, job_id, STEPS) == []
