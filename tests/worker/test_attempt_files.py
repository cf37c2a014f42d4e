"""What of a claim's files is kept: all that a row names, and what is about to be published."""

from datetime import timedelta
from pathlib import Path

import pytest
from worker_bench import Bench

from ppgssl.jobs.records import Claim, NewCheckpoint, NewJob, Report
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.store import JobStore
from worker.attempt_files import AttemptFiles

LEASE = timedelta(seconds=60)


class Run:
    """A claim and its files, with checkpoints of one empty file."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        claim = store.claim("worker-1", ["fake"], LEASE)
        assert claim is not None
        self.claim: Claim = claim
        self.store = store
        self.root = settings.artifact_root
        self.files = AttemptFiles(store, settings, claim.lease)
        self.files.create()

    def write(self, step: int) -> Path:
        """A checkpoint that is on the disk, and not published."""
        folder = self.files.folder / "steps" / f"{step:08d}"
        folder.mkdir(parents=True)
        (folder / "state.json").touch()
        return folder

    def publish(self, folder: Path, *names: str) -> None:
        relative = folder.relative_to(self.root).as_posix()
        new = [NewCheckpoint(name, int(folder.name), 1, 0.5, relative, []) for name in names]
        self.store.record(self.claim.lease, Report(checkpoints=new))
        self.files.remove_replaced(new)


@pytest.fixture
def run(bench: Bench) -> Run:
    bench.store.create(NewJob("fake", {}))
    return Run(bench.store, bench.settings)


def successor(run: Run, bench: Bench) -> Run:
    """The next claim of the same job."""
    bench.store.hand_back(run.claim.lease, "told to stop")
    return Run(bench.store, bench.settings)


def test_a_checkpoint_goes_once_no_row_names_it(run: Run):
    first, second, third = (run.write(step) for step in (1, 2, 3))

    run.publish(first, "last", "best")
    run.publish(second, "last")
    run.publish(third, "last")

    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)


def test_a_checkpoint_that_is_not_published_yet_stays(run: Run):
    published, coming = run.write(1), run.write(2)

    run.publish(published, "last")

    assert coming.exists()


def test_the_next_claim_continues_from_what_was_published_and_removes_the_rest(
    run: Run, bench: Bench
):
    published, unpublished = run.write(1), run.write(2)
    run.publish(published, "last")

    following = successor(run, bench)

    assert following.files.last_checkpoint() == published
    assert (published.exists(), unpublished.exists()) == (True, False)
    assert following.files.folder != run.files.folder


def test_an_earlier_claims_folder_goes_once_no_row_names_anything_in_it(run: Run, bench: Bench):
    run.publish(run.write(1), "last")
    following = successor(run, bench)

    following.publish(following.write(2), "last")

    assert not run.files.folder.exists()


def test_a_worker_that_wakes_removes_nothing_of_its_successor(run: Run, bench: Bench):
    run.publish(run.write(1), "last", "best")
    following = successor(run, bench)
    published, coming = following.write(2), following.write(3)
    following.publish(published, "last")

    woken = run.write(4)
    run.files.remove_replaced([])
    run.files.leave()

    assert (published.exists(), coming.exists(), woken.exists()) == (True, True, False)
    assert bench.store.checkpoint(run.claim.job.id, "best").step == 1
    assert (run.files.folder / "steps" / "00000001").exists()


def test_a_run_that_ends_leaves_nothing_unpublished(run: Run):
    published, unpublished = run.write(1), run.write(2)
    run.publish(published, "last")

    run.files.leave()

    assert (published.exists(), unpublished.exists()) == (True, False)
