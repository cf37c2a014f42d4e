"""Recordings to a dataset folder: in parallel, resumable, and the same whatever the workers.

    refs ──► parts, one per recording ──► split by subject ──► shards ──► dataset.json
             (in worker processes)                             (in worker processes)

An interrupted run continues where it was when it is started again with the same recordings and
settings, and ends with the same files.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppgssl.data.cutting import PrepareSettings
from ppgssl.data.manifest import MANIFEST_NAME, read_manifest
from ppgssl.data.parts import (
    PartReport,
    WorkFolder,
    describe_difference,
    make_part,
    make_plan,
    plan_sha256,
)
from ppgssl.data.recordings import RecordingRef
from ppgssl.data.schema import SPLITS, Split
from ppgssl.data.shards import Part, label_types, plan_shards, write_shard
from ppgssl.data.split import split_subjects, warn_of_empty_splits
from ppgssl.data.worker_imports import worker_imports
from ppgssl.data.writer import make_layout, write_manifest
from ppgssl.errors import DatasetError
from ppgssl.pools.local import open_local_pool
from ppgssl.pools.pool import OpenPool, Pool, Workplace

__all__ = ["DatasetSummary", "PrepareProgress", "PrepareSettings", "prepare"]

logger = logging.getLogger(__name__)

NUM_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class PrepareProgress:
    """How far a preparation is; sent at the beginning and after every recording.

    Attributes:
        recordings: All of them.
        bytes_total: Their size.
        recordings_done: Finished, readable or not, those of an interrupted run among them.
        bytes_done: Size of the finished ones.
        recorded_s: Length of the finished ones.
        kept: Windows kept.
        rejected: Windows rejected.
        unreadable: Recordings that could not be read.
    """

    recordings: int
    bytes_total: int
    recordings_done: int = 0
    bytes_done: int = 0
    recorded_s: float = 0.0
    kept: int = 0
    rejected: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What a preparation made; the same as in `dataset.json`.

    Attributes:
        path: The dataset folder.
        counts: Windows per split.
        subjects: Subjects per split.
        recordings: Recordings that could be read.
        recorded_s: Their length together.
        padded: Windows of which a part was not recorded.
        rejected: Windows rejected, by reason.
        unreadable: Recordings that could not be read: `recording` and `reason`.
        warnings: What a user should know before training on it.
    """

    path: Path
    counts: dict[str, int]
    subjects: dict[str, int]
    recordings: int
    recorded_s: float
    padded: int
    rejected: dict[str, int]
    unreadable: list[dict[str, str]]
    warnings: list[str]


def prepare(
    refs: Sequence[RecordingRef],
    out: Path,
    settings: PrepareSettings,
    *,
    workers: int | None,
    progress: Callable[[PrepareProgress], None],
    open_pool: OpenPool = open_local_pool,
) -> DatasetSummary:
    """Make a dataset folder from recordings.

    Worker processes import the script they belong to, so one that calls this with `workers` above 1
    needs the `if __name__ == "__main__":` guard. With one worker everything runs in this process.

    Args:
        refs: The recordings; their order decides the windows' numbers.
        out: The dataset folder. A finished dataset of the same plan is left as it is.
        settings: How recordings become windows.
        workers: Recordings, then files of the dataset, that are worked on at the same time; None
            for as many as there are CPUs.
        progress: Called in this process after every recording.
        open_pool: Where the workers are.

    Raises:
        DatasetError: `out` holds something else, or no recording gives a window.
        RunError: The disk is full, or a worker process died.
    """
    plan = make_plan(refs, settings)
    if (out / MANIFEST_NAME).exists():
        return _finished(out, plan)
    work = WorkFolder(out)
    if not work.path.exists() and any(out.glob("*.parquet")):
        raise DatasetError(f"{out} holds Parquet files but no dataset; choose an empty folder")
    work.claim(plan)

    modules = worker_imports(ref.format for ref in refs)
    place = Workplace(modules, out, [ref.path for ref in refs])
    with open_pool(workers, place) as pool:
        reports = _make_parts(work, refs, settings, pool, progress)
        if not any(report.windows for report in reports):
            work.remove()
            raise DatasetError(_no_windows(reports, settings))
        manifest = _merge(work, refs, reports, settings, plan, pool)
    work.remove()
    return _summary(out, manifest)


def _finished(out: Path, plan: Mapping[str, Any]) -> DatasetSummary:
    manifest = read_manifest(out).model_dump()
    if manifest.get("plan_sha256") != plan_sha256(plan):
        difference = describe_difference(manifest.get("settings", {}), plan["settings"])
        raise DatasetError(
            f"{out} already holds a dataset that was prepared otherwise ({difference}); choose "
            "another folder, or delete this one"
        )
    logger.info("%s is already prepared", out)
    return _summary(out, manifest)


def _make_parts(
    work: WorkFolder,
    refs: Sequence[RecordingRef],
    settings: PrepareSettings,
    pool: Pool,
    progress: Callable[[PrepareProgress], None],
) -> list[PartReport]:
    """Reports of all recordings in their order; those with a part already are not made again."""
    so_far = PrepareProgress(recordings=len(refs), bytes_total=sum(ref.size_bytes for ref in refs))
    reports: dict[int, PartReport] = {}
    for index, ref in enumerate(refs):
        report = work.report(index)
        if report is not None:
            reports[index] = report
            so_far = _advanced(so_far, ref, report)
    logger.info("%d of %d recordings were finished before", len(reports), len(refs))
    progress(so_far)

    missing = [index for index in range(len(refs)) if index not in reports]
    jobs = [(work, index, refs[index], settings) for index in missing]
    for number, report in pool.work_off(make_part, jobs):
        index = missing[number]
        reports[index] = report
        so_far = _advanced(so_far, refs[index], report)
        progress(so_far)
    return [reports[index] for index in range(len(refs))]


def _advanced(so_far: PrepareProgress, ref: RecordingRef, report: PartReport) -> PrepareProgress:
    return replace(
        so_far,
        recordings_done=so_far.recordings_done + 1,
        bytes_done=so_far.bytes_done + ref.size_bytes,
        recorded_s=so_far.recorded_s + report.recorded_s,
        kept=so_far.kept + report.windows,
        rejected=so_far.rejected + sum(report.rejected.values()),
        unreadable=so_far.unreadable + (report.unreadable is not None),
    )


def _rejected(reports: Iterable[PartReport]) -> Counter[str]:
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report.rejected)
    return total


def _no_windows(reports: Sequence[PartReport], settings: PrepareSettings) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in _rejected(reports).items())
    unreadable = [report for report in reports if report.unreadable is not None]
    reasons = "; ".join(
        f"{report.recording_id}: {report.unreadable}" for report in unreadable[:NUM_REASONS_SHOWN]
    )
    return (
        f"no windows of {settings.window_seconds:g} s: {len(reports)} recordings gave none "
        f"({rejected or 'none rejected'}; {len(unreadable)} unreadable{': ' if reasons else ''}"
        f"{reasons}); give other recordings or a shorter window"
    )


def _merge(
    work: WorkFolder,
    refs: Sequence[RecordingRef],
    reports: Sequence[PartReport],
    settings: PrepareSettings,
    plan: Mapping[str, Any],
    pool: Pool,
) -> dict[str, Any]:
    """Write the parts into shards in the order of the recordings, then `dataset.json`."""
    out = work.path.parent
    with_windows = [report for report in reports if report.windows]
    splits = split_subjects((report.subject_id for report in with_windows), seed=settings.seed)
    parts = [
        Part(index, splits[report.subject_id], report.windows)
        for index, report in enumerate(reports)
        if report.windows
    ]
    labels = label_types(with_windows)
    window_samples = settings.window_samples
    shards = plan_shards(parts, make_layout(window_samples, labels).windows_per_shard)
    jobs = [(work, out, shard, window_samples, labels) for shard in shards]
    for number, _ in pool.work_off(write_shard, jobs):
        logger.info("%s %d written", shards[number].split, shards[number].number)

    counts = Counter[Split]()
    for part in parts:
        counts[part.split] += part.windows
    subjects = Counter(splits.values())
    rejected = _rejected(reports)
    details = {
        "window_seconds": settings.window_seconds,
        "settings": plan["settings"],
        "plan_sha256": plan_sha256(plan),
        "preprocessing": _preprocessing(settings),
        "sources": list(dict.fromkeys(str(ref.path) for ref in refs)),
        "recordings": sum(report.unreadable is None for report in reports),
        "recorded_s": sum(report.recorded_s for report in reports),
        "subjects": {split: subjects[split] for split in SPLITS},
        "labels": list(labels),
        "padded": sum(report.padded for report in reports),
        "rejected": {reason: rejected[reason] for reason in sorted(rejected)},
        "unreadable": [
            {"recording": report.recording_id, "reason": report.unreadable}
            for report in reports
            if report.unreadable is not None
        ],
    }
    return write_manifest(
        out,
        fs_hz=settings.fs_hz,
        window_samples=window_samples,
        counts=counts,
        details=details,
    )


def _preprocessing(settings: PrepareSettings) -> dict[str, Any]:
    """What was done to the signals, so that an encoder can do the same to new ones."""
    return {
        "fill_gaps_seconds": settings.max_gap_seconds,
        "resample": "polyphase",
        "normalise": None,
        "denoised": {
            "wavelet": settings.wavelet,
            "level": settings.wavelet_level,
            "threshold": "soft",
            "band_hz": list(settings.band_hz),
        },
    }


def _summary(out: Path, manifest: Mapping[str, Any]) -> DatasetSummary:
    keys = ("counts", "subjects", "recordings", "recorded_s", "padded", "rejected", "unreadable")
    warnings = warn_of_empty_splits(manifest["counts"])
    return DatasetSummary(path=out, warnings=warnings, **{key: manifest[key] for key in keys})
