"""Looks into an Arrow stream before it is read: a few compressed bytes can hold terabytes.

PyArrow allocates what a compressed buffer announces and cannot be told not to, so the one field of
the metadata that says so is read here (arrow.apache.org, `Message.fbs`; flatbuffers: a table begins
with the distance back to its list of field offsets).
"""

import struct

import pyarrow as pa

HEADER = 2  # of Message: the table of the particular kind
COMPRESSION = 3  # of RecordBatch


def is_compressed(stream: pa.Buffer) -> bool:
    """Whether any batch is compressed, or a dictionary, which may be compressed out of sight.

    Raises:
        ValueError: The metadata is no flatbuffer.
        pa.ArrowException: It is no Arrow stream.
    """
    for message in pa.ipc.MessageReader.open_stream(stream):
        if message.type == "dictionary":
            return True
        if message.type == "record batch" and _names_compression(message.metadata.to_pybytes()):
            return True
    return False


def _names_compression(metadata: bytes) -> bool:
    try:
        (root,) = struct.unpack_from("<I", metadata, 0)
        header = _field(metadata, root, HEADER)
        if header is None:
            raise ValueError("a message without a header")
        (distance,) = struct.unpack_from("<I", metadata, header)
        return _field(metadata, header + distance, COMPRESSION) is not None
    except struct.error as error:
        raise ValueError(f"damaged metadata ({error})") from error


def _field(metadata: bytes, table: int, index: int) -> int | None:
    """Where a table's field lies; None where it is absent."""
    (back,) = struct.unpack_from("<i", metadata, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", metadata, fields)
    position = 4 + 2 * index
    if position >= size:
        return None
    (offset,) = struct.unpack_from("<H", metadata, fields + position)
    return table + offset if offset else None
