"""A Parquet file of embeddings: its columns, and reading it piece by piece.

A row is a window or a segment of one, in the order in which they were embedded. A refused window
keeps its row, without an embedding and with the reason in `fault`. Rows are named by their place in
the file, refused ones counted.

Axes used in this file:
    N  rows that have an embedding    D  width of the embedding
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from ppgssl.errors import EmbeddingsError

ENCODER_KEY = b"ppgssl.encoder_sha256"
"""In the schema's metadata: whose embeddings these are."""

DESCRIPTION = ("recording_id", "start_s", "quality")
"""What is told of a window; `fault` need not be there."""

BATCH_ROWS = 8192
READ_BYTES = 2**20
FOOTER_END = 8  # bytes: the footer's length and Parquet's magic


def embeddings_schema(embedding_dim: int, encoder_sha256: str) -> pa.Schema:
    """The columns of a Parquet file of embeddings."""
    return pa.schema(
        [
            pa.field("recording_id", pa.string()),
            pa.field("start_s", pa.float64()),
            pa.field("embedding", pa.list_(pa.float32(), embedding_dim)),
            pa.field("quality", pa.float32()),
            pa.field("fault", pa.string()),
        ],
        {ENCODER_KEY: encoder_sha256.encode()},
    )


def embeddings_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer whose embeddings are plain floats: none repeats itself, shrinks or is sought."""
    text_columns: Any = ["recording_id", "fault"]
    described: Any = [name for name in schema.names if name != "embedding"]
    return pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=text_columns, write_statistics=described
    )


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a file that have an embedding.

    Attributes:
        rows: Their places in the file.
        recording_ids: Of each.
        vectors: Their embeddings.
    """

    rows: Int[np.ndarray, " N"]
    recording_ids: npt.NDArray[np.object_]
    vectors: Float[np.ndarray, "N D"]


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """A file whose columns are known to be there.

    Attributes:
        path: Where it lies.
        num_rows: Refused windows counted.
        width: Of an embedding.
        encoder_sha256: Of the encoder's weights, where the file names them.
        tells_faults: Whether it has the column `fault`.
    """

    path: Path
    num_rows: int
    width: int
    encoder_sha256: str | None
    tells_faults: bool

    @classmethod
    def open(cls, path: Path) -> Self:
        """Look at the columns of a file.

        Raises:
            EmbeddingsError: There is no such file, or it has no embeddings or no rows.
        """
        try:
            with pq.ParquetFile(path) as file:
                schema, num_rows = file.schema_arrow, file.metadata.num_rows
        except FileNotFoundError as error:
            raise EmbeddingsError(
                f"there is no file {path}; `ppgssl embed SOURCE --out FILE.parquet` writes one"
            ) from error
        except (pa.ArrowException, OSError) as error:
            raise EmbeddingsError(f"{path} is no Parquet file: {error}") from error
        width = _width(path, {field.name: field.type for field in schema})
        if not num_rows:
            raise EmbeddingsError(f"{path} has no rows, so there is nothing to search")
        whose = (schema.metadata or {}).get(ENCODER_KEY)
        return cls(
            path, num_rows, width, whose.decode() if whose else None, "fault" in schema.names
        )

    def check_comparable(self, other: "EmbeddingFile") -> None:
        """Refuse embeddings whose distances to these would mean nothing.

        Raises:
            EmbeddingsError: They are of another width, or another encoder's.
        """
        self.check_origin(other.width, other.encoder_sha256, whose=str(other.path))

    def check_origin(self, width: int, encoder_sha256: str | None, *, whose: str) -> None:
        """The same for embeddings that are of no file.

        Raises:
            EmbeddingsError: They are of another width, or another encoder's.
        """
        if self.width != width:
            raise EmbeddingsError(
                f"{whose} has embeddings of {width} numbers and {self.path} of {self.width}; "
                "embed both with one encoder"
            )
        if len({self.encoder_sha256, encoder_sha256} - {None}) > 1:
            raise EmbeddingsError(
                f"{whose} and {self.path} are of different encoders, whose embeddings cannot be "
                "compared; embed both with one encoder"
            )

    def blocks(self, size: int) -> Iterator[Block]:
        """All rows that have an embedding, in order, from up to `size` rows at a time."""
        first = 0
        with self._opened() as file:
            for batch in file.iter_batches(size, columns=["recording_id", "embedding"]):
                is_sound = batch.column("embedding").is_valid()
                rows = first + np.flatnonzero(is_sound.to_numpy(zero_copy_only=False))
                sound = pa.Table.from_batches([batch.filter(is_sound)])
                yield Block(rows, texts(sound["recording_id"]), self.vectors(sound))
                first += len(batch)

    def places(self) -> pa.Table:
        """Recording and start of each row."""
        return pq.read_table(self.path, columns=["recording_id", "start_s"])

    def take(self, rows: Int[np.ndarray, " R"], columns: Sequence[str]) -> pa.Table:
        """Some columns of some rows, in the order asked for; other row groups are not read."""
        wanted = np.unique(rows)
        with self._opened() as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            group_of = np.searchsorted(starts, wanted, side="right") - 1
            pieces = [file.read_row_groups([], columns=list(columns))]
            for group in np.unique(group_of).tolist():
                first = starts[group]
                for batch in file.iter_batches(BATCH_ROWS, [group], list(columns)):
                    inside = wanted[(first <= wanted) & (wanted < first + len(batch))]
                    pieces.append(
                        pa.Table.from_batches([batch.take(pa.array(inside - first, pa.int64()))])
                    )
                    first += len(batch)
        return pa.concat_tables(pieces).take(np.searchsorted(wanted, rows))

    def vectors(self, table: pa.Table) -> Float[np.ndarray, "N D"]:
        """The embeddings of rows of this file that all have one."""
        lists: Any = table["embedding"].combine_chunks()
        return lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.width)

    def _opened(self) -> pq.ParquetFile:
        """Read in small pieces: unless told so, PyArrow keeps every row group that it has read."""
        return pq.ParquetFile(self.path, pre_buffer=False, buffer_size=READ_BYTES)

    def fingerprint(self) -> str:
        """Changes with the file: a digest of its footer, where all sizes and extremes are."""
        with self.path.open("rb") as file:
            file.seek(-FOOTER_END, SEEK_END)
            length = int.from_bytes(file.read(4), "little")
            file.seek(-FOOTER_END - length, SEEK_END)
            return hashlib.sha256(file.read()).hexdigest()


def _width(path: Path, columns: dict[str, pa.DataType]) -> int:
    if not columns.keys() >= {*DESCRIPTION, "embedding"}:
        raise EmbeddingsError(
            f"{path}: expected the columns {', '.join(DESCRIPTION)} and embedding, as "
            f"`ppgssl embed` writes them, got {', '.join(columns)}"
        )
    kind: Any = columns["embedding"]
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type):
        raise EmbeddingsError(
            f"{path}: expected embeddings as lists of numbers of one length, got {kind}"
        )
    return kind.list_size


def holds_embeddings(path: Path) -> bool:
    """Whether this is a Parquet file with a column of embeddings, rather than recordings."""
    try:
        return "embedding" in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False


def texts(column: "pa.ChunkedArray[Any]") -> npt.NDArray[np.object_]:
    """Names as an array that can be compared with one."""
    return column.to_numpy()
