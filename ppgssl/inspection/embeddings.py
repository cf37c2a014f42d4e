"""Files of embeddings: of how many windows, how clean, and in how many directions they spread."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from matplotlib.figure import Figure

from ppgssl.errors import InputError
from ppgssl.inference.embedding_file import EmbeddingFile
from ppgssl.inspection.description import Description, Sheet
from ppgssl.models.effective_rank import effective_rank

MOST_ROWS = 5_000  # that figures and picture are made of, spread evenly over the file
FIGURE_INCHES = (11.0, 3.8)
BAR_COLOUR = "#0f766e"


def describe_embeddings(path: Path, *, limit: int) -> Description:
    """Look at a file that `ppgssl embed` wrote; `limit` recordings are listed.

    Raises:
        EmbeddingsError: It has no embeddings, or is damaged.
    """
    file = EmbeddingFile.open(path)
    rows = pq.read_table(
        path, columns=["recording_id", "quality", *(["fault"] if file.tells_faults else [])]
    )
    faults = rows["fault"].drop_null() if file.tells_faults else pa.chunked_array([[]])
    sample = _sample(file)
    facts = {
        "windows": file.num_rows,
        "refused": len(faults),
        "recordings": len(rows["recording_id"].unique()),
        "embedding_dim": file.width,
        "encoder_sha256": file.encoder_sha256,
        "effective_rank": _rank(file, sample),
    }
    sheets = [_recordings(rows, limit)]
    if len(faults):
        reasons = Counter(str(fault).partition(":")[0] for fault in faults.to_pylist())
        sheets.append(Sheet("refused", ("reason", "windows"), reasons.most_common()))
    return Description(
        "embeddings",
        path,
        facts,
        tuple(sheets),
        lambda figure: _draw(figure, file, sample, rows["quality"]),
    )


def _sample(file: EmbeddingFile) -> pa.Table:
    """Rows that have an embedding, from all over the file."""
    chosen = np.unique(np.linspace(0, file.num_rows - 1, MOST_ROWS).astype(np.int64))
    rows = file.take(chosen, ["embedding", "quality"])
    return rows.filter(pc.is_valid(rows["embedding"]))


def _rank(file: EmbeddingFile, sample: pa.Table) -> float | None:
    if len(sample) < 2:
        return None
    return effective_rank(torch.from_numpy(file.vectors(sample).copy()))


def _recordings(rows: pa.Table, limit: int) -> Sheet:
    """Windows and quality of the first recordings, in the file's order."""
    grouped = rows.group_by("recording_id", use_threads=False).aggregate(
        [("quality", "count"), ("quality", "mean")]
    )
    listed = grouped.select(["recording_id", "quality_count", "quality_mean"]).slice(0, limit)
    found = [tuple(row.values()) for row in listed.to_pylist()]
    return Sheet("recordings", ("recording", "windows", "mean quality"), found)


def _draw(
    figure: Figure, file: EmbeddingFile, sample: pa.Table, quality: "pa.ChunkedArray[Any]"
) -> None:
    """A map by the two largest directions, how much each holds, and the quality of all."""
    if len(sample) < 2:
        raise InputError("fewer than two windows have an embedding: there is no map to draw")
    vectors = file.vectors(sample).astype(np.float64)
    left, singular, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    share = singular**2 / (singular**2).sum()
    figure.set_size_inches(*FIGURE_INCHES)
    place, spread, clean = figure.subplots(1, 3)
    points = place.scatter(
        *(left * singular)[:, :2].T, c=sample["quality"].to_numpy(), s=6, cmap="viridis"
    )
    figure.colorbar(points, ax=place, label="quality")
    place.set_title("the two largest directions", fontsize=9)
    spread.plot(np.arange(1, len(share) + 1), share.cumsum(), color=BAR_COLOUR)
    spread.set_xscale("log")
    spread.set_ylim(0, 1)
    spread.set_title("variance held by the first directions", fontsize=9)
    clean.hist(quality.drop_null().to_numpy(), bins=40, color=BAR_COLOUR)
    clean.set_title("quality", fontsize=9)
