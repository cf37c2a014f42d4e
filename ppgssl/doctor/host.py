"""Memory, folders, disk and port: what the service needs of the machine under it.

Folders are looked at, never made: a service makes its own when it starts.
"""

import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from ppgssl.data.dataset import dataset_names, open_dataset
from ppgssl.doctor.findings import Finding
from ppgssl.errors import DatasetError

ROOMY_MEMORY_BYTES = 2 * 2**30  # PyTorch takes half a gigabyte, training of a small model another
ROOMY_DISK_BYTES = 5 * 2**30  # for the checkpoints and windows of some days
ASK_SECONDS = 3.0

CanWrite = Callable[[Path], bool]


def can_write(folder: Path) -> bool:
    """Whether this process may make files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK)


def check_memory(available: int | None) -> Finding:
    """Is there enough to train with?"""
    if available is None:
        return Finding.ok("memory", "not known on this system")
    found = f"{available / 1e9:.1f} GB available"
    if available < ROOMY_MEMORY_BYTES:
        return Finding.warning(
            "memory", found, "close other programs, or train with a smaller training.batch_size"
        )
    return Finding.ok("memory", found)


def check_data_root(root: Path, may_write: CanWrite = can_write) -> Finding:
    """Are there datasets to train on, and can there be more? The first one makes the folder."""
    if root.exists() and not root.is_dir():
        return Finding.problem(
            "data root",
            f"{root} is no folder",
            "set PPGSSL_DATA_ROOT to the folder of your datasets",
        )
    names = dataset_names(root)
    damaged = {name: reason for name in names if (reason := _damage(root / name))}
    if damaged:
        first = next(iter(damaged))
        return Finding.warning(
            "data root",
            f"{root}: {len(damaged)} of {len(names)} datasets cannot be used: {damaged[first]}",
            f"prepare {first} again, or remove it",
        )
    if not may_write(nearest_folder(root)):
        return Finding.warning(
            "data root",
            f"{root}: {len(names)} datasets; it cannot be written",
            "nothing, if datasets are prepared elsewhere; else let this user write there",
        )
    if not names:
        return Finding.warning(
            "data root",
            f"{root}: no datasets yet",
            f"ppgssl prepare RECORDINGS --out {root / 'NAME'}",
        )
    return Finding.ok("data root", f"{root}: {len(names)} datasets")


def check_artifact_root(
    root: Path, *, free_bytes: int, min_free_bytes: int, may_write: CanWrite = can_write
) -> Finding:
    """Can runs leave their checkpoints?"""
    if root.exists() and not root.is_dir():
        return Finding.problem(
            "artifact root", f"{root} is no folder", "set PPGSSL_ARTIFACT_ROOT to a folder"
        )
    if not may_write(nearest_folder(root)):
        return Finding.problem(
            "artifact root",
            f"{root} cannot be written",
            "let this user write there, or set PPGSSL_ARTIFACT_ROOT to another folder",
        )
    found = f"{root}: {free_bytes / 1e9:.1f} GB free"
    if free_bytes < min_free_bytes:
        return Finding.problem(
            "artifact root",
            found,
            f"free {(min_free_bytes - free_bytes) / 1e9:.1f} GB: no job is started while less than "
            f"PPGSSL_MIN_FREE_BYTES ({min_free_bytes / 1e9:.1f} GB) is free",
        )
    if free_bytes < ROOMY_DISK_BYTES:
        return Finding.warning(
            "artifact root", found, "free some: checkpoints of a long run may not find room"
        )
    return Finding.ok("artifact root", found)


def free_disk(root: Path) -> int:
    """Bytes free where a folder lies, or will lie."""
    return shutil.disk_usage(nearest_folder(root)).free


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def check_port(host: str, port: int, is_ours: Callable[[str, int], bool] | None = None) -> Finding:
    """Can the API listen where it is told to?"""
    where = f"{host}:{port}"
    reason = _why_not_bound(host, port)
    if reason is None:
        return Finding.ok("port", f"{where} is free")
    if reason == errno.EADDRINUSE:
        if (is_ours or answers_as_ppgssl)(host, port):
            return Finding.ok("port", f"a ppgssl service answers at {where}")
        return Finding.problem(
            "port", f"another program listens at {where}", "stop it, or set PPGSSL_PORT to another"
        )
    if reason == errno.EACCES:
        return Finding.problem(
            "port", f"this user may not listen at {where}", "set PPGSSL_PORT to 1024 or more"
        )
    return Finding.problem(
        "port",
        f"{host} is no address of this machine",
        "set PPGSSL_HOST to 127.0.0.1, or to 0.0.0.0 for all of its addresses",
    )


def answers_as_ppgssl(host: str, port: int) -> bool:
    """Whether what listens there is this service."""
    import httpx

    own = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    try:
        answer = httpx.get(
            f"http://{own}:{port}/openapi.json", timeout=ASK_SECONDS, trust_env=False
        )
        return answer.json()["info"]["title"] == "ppgssl"
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False


def _why_not_bound(host: str, port: int) -> int | None:
    """The number of the error of listening there; None where it works."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return error.errno
    return None


def _damage(folder: Path) -> str:
    try:
        open_dataset(folder)
    except DatasetError as error:
        return str(error)
    return ""
