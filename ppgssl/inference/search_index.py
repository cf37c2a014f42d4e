"""An index of a file of embeddings: nearly all of the nearest windows, without reading the file.

    FOLDER/index.json      what it is an index of, and how well it finds
    FOLDER/vectors.faiss   the embeddings, in lists of those that are near each other (Faiss IVF)

A search looks into a few of the lists, which are read from the disk as they are needed. How many
is settled when the index is built: so many that RECALL of the nearest windows are found.

Axes used in this file:
    N  windows in the index    D  width of an embedding
    Q  windows asked about     K  nearest ones found
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from ppgssl.errors import EmbeddingsError, InputError
from ppgssl.inference.embedding_file import EmbeddingFile
from ppgssl.inference.search import (
    BLOCK_ROWS,
    Nearest,
    Neighbour,
    check_request,
    describe,
    find_nearest_rows,
    in_order,
    is_excluded,
    unit_length,
)
from ppgssl.inference.search_metric import Metric
from ppgssl.inference.search_queries import Queries, queries_of

FORMAT_VERSION = 1
MANIFEST, VECTORS = "index.json", "vectors.faiss"

RECALL = 0.99
TESTED_WINDOWS, TESTED_NEIGHBOURS = 200, 10
LISTS_PER_ROOT = 4
"""Lists per square root of the number of windows, as Faiss's guidelines have it."""
WINDOWS_PER_LIST = 40
"""At least: of fewer, Faiss warns that k-means has too little to go by."""
TRAINED_PER_LIST = 64


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What an index is of, and how well it finds.

    Attributes:
        fingerprint: Of the file of embeddings.
        metric: What near means.
        windows: How many it holds.
        lists: Into how many they are divided.
        probed: Into how many lists a search looks.
        recall: Share of the 10 nearest windows that it found, over a sample of windows.
        format_version: Of the folder.
    """

    fingerprint: str
    metric: Metric
    windows: int
    lists: int
    probed: int
    recall: float
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """An index that belongs to a file.

    Attributes:
        file: Whose windows it holds.
        manifest: What it is.
        vectors: Faiss's index.
    """

    file: EmbeddingFile
    manifest: IndexManifest
    vectors: Any

    @classmethod
    def open(cls, folder: Path, file: EmbeddingFile) -> Self:
        """Open an index; only those that you or somebody you trust built.

        Raises:
            EmbeddingsError: There is none in `folder`, it is damaged, or of another file.
            InputError: The extra `ppgssl[search]` is not installed.
        """
        faiss = _faiss()
        manifest = _read_manifest(folder, file)
        if manifest.fingerprint != file.fingerprint():
            raise EmbeddingsError(
                f"the index in {folder} is not of {file.path} as it is now; "
                f"`ppgssl index {file.path} --out {folder}` builds it anew"
            )
        flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
        try:
            vectors = faiss.read_index(str(folder / VECTORS), flags)
        except RuntimeError as error:
            raise EmbeddingsError(f"{folder / VECTORS} is missing or damaged") from error
        return cls(file, manifest, vectors)

    def find_nearest(
        self, queries: Queries, k: int = 10, *, exclude_same_recording: bool = False
    ) -> list[list[Neighbour]]:
        """As `find_nearest` of the file, by the index's metric, but for a few windows.

        Raises:
            EmbeddingsError: `k` is below 1, or the embeddings cannot be compared.
        """
        wanted = check_request(self.file, queries, k)
        return describe(self.file, self.find_nearest_rows(queries, wanted, exclude_same_recording))

    def find_nearest_rows(
        self, queries: Queries, k: int, exclude_same_recording: bool = False
    ) -> Nearest:
        """The same as rows and distances, for a request that was checked.

        What is excluded takes others' places, so more is looked at until enough is left.
        """
        candidates, probed = k + 1, self.manifest.probed
        while True:
            found = self._candidates(queries, candidates, probed)
            kept = self._without_excluded(found, queries, exclude_same_recording)
            is_all = candidates >= self.manifest.windows and probed >= self.manifest.lists
            if is_all or np.isfinite(kept.distances[:, :k]).all():
                return Nearest(kept.rows[:, :k], kept.distances[:, :k])
            candidates, probed = 2 * candidates, min(2 * probed, self.manifest.lists)

    def _candidates(self, queries: Queries, count: int, probed: int) -> Nearest:
        asked = _prepare(queries.vectors, self.manifest.metric)
        options = _faiss().SearchParametersIVF(nprobe=probed)
        squares, rows = self.vectors.search(asked, count, params=options)
        squares = np.where(rows >= 0, squares.astype(np.float64), np.inf)
        if self.manifest.metric == Metric.COSINE:
            return Nearest(rows, squares / 2)  # between vectors of length 1
        return Nearest(rows, np.sqrt(squares))

    def _without_excluded(
        self, found: Nearest, queries: Queries, exclude_same_recording: bool
    ) -> Nearest:
        is_found = np.isfinite(found.distances)
        recording_ids = np.full(found.rows.shape, None, object)
        named = self.file.take(found.rows[is_found], ["recording_id"])
        recording_ids[is_found] = named["recording_id"].to_numpy()
        excluded = is_excluded(
            self.file, queries, found.rows, recording_ids, same_recording=exclude_same_recording
        )
        return in_order(found.rows, np.where(excluded, np.inf, found.distances))


def _read_manifest(folder: Path, file: EmbeddingFile) -> IndexManifest:
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        told["metric"] = Metric(told["metric"])
        manifest = IndexManifest(**told)
    except FileNotFoundError as error:
        raise EmbeddingsError(
            f"there is no index in {folder}; `ppgssl index {file.path} --out {folder}` builds one"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EmbeddingsError(f"{folder / MANIFEST} is damaged: {error}") from error
    if manifest.format_version != FORMAT_VERSION:
        raise EmbeddingsError(
            f"{folder} has format version {manifest.format_version}, this ppgssl reads "
            f"{FORMAT_VERSION}; build it anew"
        )
    return manifest


def build_index(
    file: EmbeddingFile, folder: Path, *, metric: Metric = Metric.COSINE, seed: int = 0
) -> IndexManifest:
    """Build an index of all windows of a file that have an embedding.

    Memory holds all of them meanwhile: 2 kB a window, where it has 512 numbers.

    Args:
        file: What to look in later.
        folder: Where the index is written, in place of one that is there.
        metric: What near is to mean.
        seed: Which windows are drawn, to learn the lists and to measure the recall.

    Raises:
        EmbeddingsError: No window has an embedding, or `folder` holds something else.
        InputError: The extra `ppgssl[search]` is not installed.
    """
    faiss = _faiss()
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise EmbeddingsError(f"{folder} is there and is no index; name a new folder")
    rng = np.random.default_rng(seed)
    rows = np.concatenate([block.rows for block in file.blocks(BLOCK_ROWS)] or [np.empty(0, int)])
    if not len(rows):
        raise EmbeddingsError(f"{file.path}: no window has an embedding")
    lists = max(1, min(round(LISTS_PER_ROOT * len(rows) ** 0.5), len(rows) // WINDOWS_PER_LIST))
    vectors = faiss.IndexIVFFlat(faiss.IndexFlatL2(file.width), file.width, lists)
    vectors.cp.min_points_per_centroid = 1  # a list for all of a few windows is no mistake
    is_drawn = rng.random(file.num_rows) < lists * TRAINED_PER_LIST / len(rows)
    vectors.train(
        np.concatenate(
            [
                _prepare(block.vectors[is_drawn[block.rows]], metric)
                for block in file.blocks(BLOCK_ROWS)
            ]
        )
    )
    for block in file.blocks(BLOCK_ROWS):
        vectors.add_with_ids(_prepare(block.vectors, metric), block.rows)
    untuned = IndexManifest(file.fingerprint(), metric, len(rows), lists, probed=1, recall=0.0)
    tested = queries_of(file, np.sort(rng.permutation(rows)[:TESTED_WINDOWS]))
    index = _tuned(SearchIndex(file, untuned, vectors), tested)
    _write(index, folder)
    return index.manifest


def _prepare(vectors: Float[np.ndarray, "N D"], metric: Metric) -> Float[np.ndarray, "N D"]:
    """As Faiss takes them; near vectors of length 1 have a small angle between them."""
    ready = unit_length(vectors) if metric == Metric.COSINE else vectors
    return np.ascontiguousarray(ready, np.float32)


def _tuned(index: SearchIndex, tested: Queries) -> SearchIndex:
    """The index that looks into as few lists as find enough of the nearest windows."""
    k, metric = TESTED_NEIGHBOURS, index.manifest.metric
    exact = find_nearest_rows(index.file, tested, k, metric)
    while True:
        recall = _recall(index.find_nearest_rows(tested, k), exact)
        index = replace(index, manifest=replace(index.manifest, recall=recall))
        if recall >= RECALL or index.manifest.probed == index.manifest.lists:
            return index
        probed = min(2 * index.manifest.probed, index.manifest.lists)
        index = replace(index, manifest=replace(index.manifest, probed=probed))


def _recall(found: Nearest, exact: Nearest) -> float:
    is_found = [np.isin(of, by) for of, by in zip(exact.rows, found.rows, strict=True)]
    return float(np.mean(is_found))


def _write(index: SearchIndex, folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _faiss().write_index(index.vectors, str(temporary / VECTORS))
    (temporary / MANIFEST).write_text(json.dumps(asdict(index.manifest), indent=2), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise InputError("an index needs Faiss: pip install 'ppgssl[search]'") from error
    return faiss
