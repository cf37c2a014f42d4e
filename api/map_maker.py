"""Makes maps of embeddings, one at a time, each by a process of its own: `ppgssl map`.

UMAP holds the interpreter for seconds and memory for as long as a process lives; neither is to be
felt by those who embed. A map is made once and lies beside the embeddings from then on.
"""

import asyncio
import os
import sys
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

from api.problems import ProblemError
from ppgssl.inference.embedding_map import MapMethod

BAD_INPUT = 2  # exit code of `ppgssl`, with the reason as one line on stderr
ERROR = "error: "


class MapMaker:
    """Makes maps; whoever asks for one that is being made waits for it."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def map_of(self, embeddings: Path, method: MapMethod, place: Path) -> Path:
        """The map of a file of embeddings, made now if it is not at its place yet.

        Raises:
            ProblemError: 422, these embeddings have no map, or the method is not installed.
        """
        if not place.exists():
            async with self._one_at_a_time:
                if not place.exists():
                    await _make(embeddings, method, place)
        return place


async def _make(embeddings: Path, method: MapMethod, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix=".map-", dir=place.parent) as scratch:
        out = Path(scratch) / place.name
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ppgssl", "map", str(embeddings)),
            *("--out", str(out), "--method", method.value),
            env={**os.environ, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, stderr = await process.communicate()
        except asyncio.CancelledError:  # the service stops
            process.kill()
            raise
        if process.returncode == BAD_INPUT:
            raise _refusal(stderr.decode(errors="replace"), embeddings)
        if process.returncode:
            raise RuntimeError(
                f"`ppgssl map` ended with {process.returncode}: {stderr.decode(errors='replace')}"
            )
        out.replace(place)


def _refusal(stderr: str, embeddings: Path) -> ProblemError:
    """What the command said, without where the file lies on this machine."""
    said = stderr[stderr.rfind(ERROR) :].removeprefix(ERROR).strip()
    told = said.replace(str(embeddings), embeddings.name)
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no_map", told)
