"""What the claim of a job that succeeded left in a folder: a report, or embeddings."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from api.problems import ProblemError
from ppgssl.jobs.errors import JobStateError
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.status import JobStatus
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job


def result_files(
    job: Job,
    store: JobStore,
    settings: Settings,
    *,
    kind: JobKind,
    what: str,
    place: Callable[[str, int], Path],
    whole: frozenset[str],
) -> dict[str, Path]:
    """The files that a finished job of a kind left, by name: of the claim that succeeded.

    Args:
        job: The job.
        store: The job table.
        settings: Where files lie.
        kind: The only kind that leaves such files.
        what: They are called.
        place: Their folder, of a job's id and the claim's number.
        whole: Names of those that are there if any are.

    Raises:
        ProblemError: 404, jobs of this kind leave none; 410, the disk has them no more.
        JobStateError: The job has not succeeded (yet).
    """
    if job.kind != kind:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            f"{what}_not_found",
            f"job {job.id} is of the kind {job.kind!r} and has no {what}; submit one of the kind "
            f"{kind.value!r}, for a trained encoder with its job's id as config.model",
        )
    if job.status is not JobStatus.SUCCEEDED:
        remedy = "submit another" if job.status.is_finished else "wait until it has succeeded"
        raise JobStateError(f"job {job.id} is {job.status} and has no {what}; {remedy}", job.status)
    claim = store.newest_claim(job.id)
    assert claim is not None, f"job {job.id} succeeded without a claim"
    root = settings.artifact_root.resolve()
    files = {
        path.name: path
        for path in sorted(place(job.id, claim).glob("*"))
        if path.resolve().is_relative_to(root)  # a link out of it is no part of the result
    }
    if not files.keys() >= whole:
        raise ProblemError(
            HTTPStatus.GONE,
            "file_gone",
            f"the disk has the {what} of job {job.id} no more; submit the job again",
        )
    return files
