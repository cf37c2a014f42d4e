"""Files of embeddings whose order is known: window n of a recording points at angle n degrees."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ppgssl.inference.embedding_file import embeddings_schema

WIDTH = 4
ENCODER = "ab" * 32


def write_turning(
    path: Path, windows: Sequence[tuple[str, float]], *, refused: Sequence[int] = ()
) -> bytes:
    """A row for each recording and start; row n lies n degrees from row 0. Returns the file."""
    angles = np.deg2rad(np.arange(len(windows)))
    vectors = np.zeros((len(windows), WIDTH), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    columns = {
        "recording_id": [recording for recording, _ in windows],
        "start_s": [start_s for _, start_s in windows],
        "embedding": [None if n in refused else v.tolist() for n, v in enumerate(vectors)],
        "quality": [None if n in refused else 0.5 for n in range(len(windows))],
        "fault": ["flat" if n in refused else None for n in range(len(windows))],
    }
    pq.write_table(pa.table(columns, schema=embeddings_schema(WIDTH, ENCODER)), path)
    return path.read_bytes()
