"""What a training run returns for a few held-out windows, epoch by epoch, as curves to look at."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter

from api.curves import Curve, FromSeconds, MaxPoints, ToSeconds, curve, part_of
from api.dependencies import JobDep, SettingsDep, StoreDep
from api.problems import ProblemError
from api.routes.jobs import NOT_FOUND
from api.schemas import ReconstructedWindowRead, ReconstructionRead, ReconstructionsRead
from ppgssl.json_values import finite
from ppgssl.training.reconstruction_files import (
    FOLDER,
    WINDOWS_FILE,
    ShownWindows,
    read_epoch,
    read_windows,
    saved_epochs,
)

router = APIRouter(prefix="/jobs/{job_id}/reconstructions", tags=["jobs"])

SPECTRUM_UP_TO_HZ = 10.0  # pulses and their harmonics; targets are band-passed below that
SPECTRUM_SECONDS = 32.0  # of a stretch: resolves 2 beats a minute

Samples = npt.NDArray[np.float32]


def newest_folder(job: JobDep, store: StoreDep, settings: SettingsDep) -> Path | None:
    """Where the newest claim that has any put down its reconstructions; None before the first.

    A claim that was lost writes into a folder of its own, and is older than the one that is read.
    """
    claim = store.newest_claim(job.id)
    root = settings.artifact_root.resolve()
    folders = (
        settings.attempt_folder(job.id, number) / FOLDER
        for number in sorted(_claims(settings.attempts_folder(job.id)), reverse=True)
        if claim is not None and number <= claim
    )
    return next((folder for folder in folders if _is_there(folder, root)), None)


def _claims(attempts: Path) -> list[int]:
    if not attempts.is_dir():
        return []
    return [int(path.name) for path in attempts.iterdir() if path.name.isdecimal()]


def _is_there(folder: Path, root: Path) -> bool:
    file = folder / WINDOWS_FILE
    return file.is_file() and file.resolve().is_relative_to(root)


FolderDep = Annotated[Path | None, Depends(newest_folder)]


@router.get("", responses=NOT_FOUND)
def list_reconstructions(folder: FolderDep) -> ReconstructionsRead:
    """Which windows are reconstructed, and after which epochs; none before the first ends."""
    if folder is None:
        return ReconstructionsRead(epochs=[], windows=[], fs_hz=None, samples=None)
    windows = read_windows(folder)
    return ReconstructionsRead(
        epochs=saved_epochs(folder),
        windows=[
            ReconstructedWindowRead.model_validate({k: finite(v) for k, v in window.items()})
            for window in windows.described
        ],
        fs_hz=windows.fs_hz,
        samples=windows.inputs.shape[1],
    )


@router.get("/{epoch}/{index}", responses=NOT_FOUND)
def read_reconstruction(
    job: JobDep,
    folder: FolderDep,
    epoch: Annotated[int, PathParameter(ge=1, le=999_999_999)],
    index: Annotated[int, PathParameter(ge=0, le=999, description="Of the window in the list.")],
    from_s: FromSeconds = 0,
    to_s: ToSeconds = None,
    max_points: MaxPoints = 4000,
) -> ReconstructionRead:
    """A window, or a part of it: input, target, output and residual, and the window's spectra."""
    windows, outputs = read_both(job.id, folder, epoch)
    if index >= len(outputs):
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "window_not_found",
            f"job {job.id} reconstructs {len(outputs)} windows, counted from 0; none is {index}",
        )
    target, output = windows.targets[index], outputs[index]
    signals = {"input": windows.inputs[index], "target": target, "output": output}
    signals["residual"] = target - output
    start, stop = part_of(len(target), windows.fs_hz, from_s, to_s)
    return ReconstructionRead(
        epoch=epoch,
        index=index,
        explained_variance=finite(explained(target, output)),
        curves={
            name: curve(x, start, stop, windows.fs_hz, max_points) for name, x in signals.items()
        },
        spectra={name: spectrum(x, windows.fs_hz) for name, x in signals.items()},
    )


def read_both(
    job_id: str, folder: Path | None, epoch: int
) -> tuple[ShownWindows, npt.NDArray[np.float32]]:
    """The windows and what the model returned for them after an epoch.

    Raises:
        ProblemError: 404, of that epoch nothing is kept.
    """
    if folder is not None:
        try:
            return read_windows(folder), read_epoch(folder, epoch)
        except FileNotFoundError:
            pass
    known = ", ".join(map(str, saved_epochs(folder))) if folder is not None else ""
    raise ProblemError(
        HTTPStatus.NOT_FOUND,
        "epoch_not_found",
        f"job {job_id} has no reconstructions of epoch {epoch}; it has {known or 'none yet'}",
    )


def explained(target: Samples, output: Samples) -> float:
    """Share of a standardised target's variance that an output explains: 0 is its mean."""
    error, deviation = float(np.square(target - output).sum()), float(np.square(target).sum())
    return 1 - error / deviation if deviation else float("nan")


def spectrum(x: Samples, fs_hz: float) -> Curve:
    """Frequency in Hz and power density per Hz of a signal (T,), after Welch."""
    from scipy.signal import welch  # a second of every start, for those who look

    frequency, power = welch(x, fs_hz, nperseg=min(len(x), round(SPECTRUM_SECONDS * fs_hz)))
    kept = frequency <= SPECTRUM_UP_TO_HZ
    return [
        (at, finite(value))
        for at, value in zip(frequency[kept].tolist(), power[kept].tolist(), strict=True)
    ]
