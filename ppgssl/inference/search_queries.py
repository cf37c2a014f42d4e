"""Which windows are asked about: rows of a file of embeddings, named as people name them.

Axes used in this file:
    Q  windows asked about    D  width of the embedding
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from ppgssl.errors import EmbeddingsError
from ppgssl.inference.embedding_file import EmbeddingFile, texts

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Queries:
    """Windows asked about.

    Attributes:
        file: The one that they are rows of; None: embedded elsewhere.
        rows: Their places in it.
        recording_ids: Of each.
        start_s: Where in its recording each begins, seconds.
        vectors: Their embeddings.
    """

    file: EmbeddingFile | None
    rows: Int[np.ndarray, " Q"]
    recording_ids: npt.NDArray[np.object_]
    start_s: Float[np.ndarray, " Q"]
    vectors: Float[np.ndarray, "Q D"]

    def __len__(self) -> int:
        return len(self.rows)


def select_queries(
    file: EmbeddingFile,
    *,
    row: int | None = None,
    recording_id: str | None = None,
    at_s: float | None = None,
) -> Queries:
    """Rows of a file: one by its place, those of a recording, or all; refused ones left out.

    Args:
        file: Whose rows.
        row: Place in the file, from 0.
        recording_id: Name of a recording; not needed where the file has only one.
        at_s: Of that recording, the window that this second lies in.

    Raises:
        EmbeddingsError: There is no such window, or none of those asked for has an embedding.
    """
    if row is not None and (recording_id is not None or at_s is not None):
        raise EmbeddingsError("a window is named by its row or by its recording and time, not both")
    rows = _by_row(file, row) if row is not None else _by_place(file, recording_id, at_s)
    return queries_of(file, rows)


def queries_of(file: EmbeddingFile, rows: Int[np.ndarray, " Q"]) -> Queries:
    """Rows of a file by their places; refused ones left out.

    Raises:
        EmbeddingsError: None of them has an embedding.
    """
    table = file.take(rows, ["recording_id", "start_s", "embedding"])
    is_sound = table["embedding"].is_valid()
    sound = table.filter(is_sound)
    if not len(sound):
        raise EmbeddingsError(_why_none(file, rows))
    return Queries(
        file,
        rows[is_sound.to_numpy()],
        texts(sound["recording_id"]),
        sound["start_s"].to_numpy(),
        file.vectors(sound),
    )


def queries_from(vectors: Float[np.ndarray, "Q D"]) -> Queries:
    """Embeddings that are of no file and no recording."""
    count = len(vectors)
    nowhere = np.full(count, "", np.object_)
    return Queries(None, np.full(count, -1), nowhere, np.full(count, np.nan), vectors)


def _by_row(file: EmbeddingFile, row: int) -> Int[np.ndarray, " Q"]:
    if not 0 <= row < file.num_rows:
        raise EmbeddingsError(f"{file.path} has the rows 0 to {file.num_rows - 1}, not {row}")
    return np.array([row])


def _by_place(
    file: EmbeddingFile, recording_id: str | None, at_s: float | None
) -> Int[np.ndarray, " Q"]:
    places = file.places()
    names = texts(places["recording_id"])
    if recording_id is None and at_s is None:
        return np.arange(file.num_rows)
    known = sorted(set(names.tolist()))
    if recording_id is None and len(known) == 1:
        (recording_id,) = known
    if recording_id is None or recording_id not in known:
        shown = ", ".join(known[:NAMES_SHOWN]) + (", ..." if len(known) > NAMES_SHOWN else "")
        sought = "which recording?" if recording_id is None else f"no recording {recording_id!r};"
        raise EmbeddingsError(f"{file.path}: {sought} there are {shown}")
    rows = np.flatnonzero(names == recording_id)
    if at_s is None:
        return rows
    return rows[[_window_at(places["start_s"].to_numpy()[rows], at_s, recording_id)]]


def _window_at(start_s: Float[np.ndarray, " N"], at_s: float, recording_id: str) -> int:
    """The last window that begins by then; its length is taken to be the longest step."""
    ordered = np.sort(start_s)
    end_s = ordered[-1] + np.diff(ordered).max() if len(ordered) > 1 else np.inf
    if not ordered[0] <= at_s < end_s:
        raise EmbeddingsError(
            f"{recording_id} has windows that begin from {ordered[0]:g} to {ordered[-1]:g} s, "
            f"none that holds {at_s:g} s"
        )
    return int(np.argmax(np.where(start_s <= at_s, start_s, -np.inf)))


def _why_none(file: EmbeddingFile, asked: Int[np.ndarray, " Q"]) -> str:
    if len(asked) != 1:
        return f"{file.path}: none of the {len(asked)} windows asked for has an embedding"
    fault: str | None = None
    if file.tells_faults:
        fault = file.take(asked, ["fault"])["fault"][0].as_py()
    return f"{file.path}: row {asked[0]} has no embedding; {fault or 'it is not said why'}"
