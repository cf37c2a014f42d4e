"""Windows out of a request's body: JSON, raw float32, .npy or an Arrow stream.

Every byte comes from outside: nothing is unpickled, and nothing is allocated that the body does not
hold. An item of a list that is no window becomes the reason why, so that its neighbours live. The
windows of raw float32 and .npy are views of the body; those of JSON cost little beside its parsing.
"""

import base64
import binascii
import io
import struct
import tokenize
from http import HTTPStatus
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from api.arrow_checks import is_compressed
from api.embedder import Window, Windows
from api.problems import ProblemError, invalid_request
from api.schemas import Body
from ppgssl.inference.granularity import Granularity

JSON = "application/json"
RAW = "application/octet-stream"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"

DAMAGED_HEADER = (
    *(ValueError, TypeError, SyntaxError, MemoryError, RecursionError),  # of ast.literal_eval
    KeyError,  # an unknown version
    tokenize.TokenError,
)
"""What NumPy raises on a header that it cannot read: it is parsed as a Python literal."""

LARGEST_HEADER = 2**14
"""Of an .npy file, bytes; NumPy reads no larger one."""

NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""As Python writes them into what it calls JSON."""

_JSON_NAMES: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}

Rate = Annotated[float, Field(ge=1, le=10_000, description="Sampling rate of the windows, Hz.")]


class EmbeddingBody(Body):
    """Windows as JSON; what it leaves out is taken from the query."""

    model: str | None = None
    input: list[Any] | str
    fs_hz: Rate | None = None
    granularity: Granularity | None = None
    encoding_format: Literal["float", "base64"] = "float"


def read_json(body: bytearray) -> EmbeddingBody:
    """The request in a JSON body.

    Raises:
        RequestValidationError: It is no JSON, or not of this shape.
    """
    try:
        return EmbeddingBody.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body",), "msg": _no_json(error)}]
        ) from error
    except ValidationError as error:
        raise invalid_request(error, "body") from error


def _no_json(error: orjson.JSONDecodeError) -> str:
    is_python = error.doc[error.pos :].startswith(NOT_FINITE)
    remedy = "; JSON has no NaN or Infinity, send null for a missing sample" if is_python else ""
    return f"expected JSON: {error}{remedy}"


def windows_of_input(given: list[Any] | str) -> list[Window]:
    """The windows of a JSON `input`: many, or one without a list around it.

    Raises:
        ProblemError: 422, there is none.
    """
    if not given:
        raise unusable("input: expected at least one window, as numbers or base64 of float32 LE")
    items = [given] if isinstance(given, str) or _is_window(given) else given
    return [window_of_item(item) for item in items]


def _is_window(given: list[Any]) -> bool:
    """Whether a list is one window rather than many: a first number settles it at once."""
    return isinstance(given[0], float | int) or {list, str}.isdisjoint(map(type, given))


def window_of_item(item: Any) -> Window:
    """One item as samples, or why it is no window."""
    if isinstance(item, str):
        return _of_base64(item)
    if not isinstance(item, list):
        return f"expected a list of numbers or a base64 text, got {type(item).__name__}"
    try:
        # Nothing but numbers can be packed, those that are too large as infinity. NumPy takes twice
        # as long, and takes texts of digits too.
        return np.frombuffer(struct.pack(f"{len(item)}f", *item), np.float32)
    except struct.error:
        return _with_gaps(item)


def _with_gaps(item: list[Any]) -> Window:
    """Samples of which some are null, which becomes NaN, or why they are no samples."""
    for place, sample in enumerate(item):
        if sample is not None and not isinstance(sample, float | int):
            return f"expected a list of numbers, got {_JSON_NAMES[type(sample)]} as sample {place}"
    return _float32(np.asarray(item, dtype=np.float64))


def _of_base64(text: str) -> Window:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        return f"expected base64 of float32 LE: {error}"
    if len(content) % 4:
        return f"expected float32 LE, 4 bytes a sample, got {len(content)} bytes"
    return np.frombuffer(content, dtype="<f4").astype(np.float32, copy=False)


def read_raw(body: bytearray, windows: int) -> Windows:
    """Windows of equal length, float32 little-endian, one after the other.

    Raises:
        ProblemError: 422, the body cannot be cut so.
    """
    samples, rest = divmod(len(body), 4 * windows)
    if rest or not samples:
        raise unusable(
            f"body: {len(body)} bytes are not {windows} windows of equal length of float32 "
            "(4 bytes a sample); give their number as ?windows=N"
        )
    array = np.frombuffer(body, dtype="<f4").reshape(windows, samples)
    return array.astype(np.float32, copy=False)


def read_npy(body: bytearray) -> Windows:
    """One window or an array (windows, samples) of numbers.

    Raises:
        ProblemError: 422, it is not that.
    """
    stream = io.BytesIO(body[:LARGEST_HEADER])
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(stream)
    except DAMAGED_HEADER as error:
        raise unusable(f"body: no .npy file of version 1 or 2: {error}") from error
    if dtype.kind not in "fiu" or len(shape) not in (1, 2):
        raise unusable(
            f"body: expected an array of numbers, (windows, samples) or (samples,), got {dtype} "
            f"of shape {shape}"
        )
    content = memoryview(body)[stream.tell() :]
    if len(content) != int(np.prod(shape, dtype=object)) * dtype.itemsize or not content:
        raise unusable(f"body: {len(content)} bytes of data are not an array of shape {shape}")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    return np.atleast_2d(_float32(array))


def read_arrow(body: bytearray) -> Windows:
    """The rows of a list column `signal`, or of the only list column; lengths may differ.

    Raises:
        ProblemError: 422, it is no uncompressed Arrow stream with such a column.
    """
    try:
        stream = pa.py_buffer(body)
        if is_compressed(stream):
            raise unusable("body: compressed or dictionary-encoded; send a plain Arrow stream")
        table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)  # offsets come from outside
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unusable(f"body: no Arrow stream: {error}") from error
    column = table[_signal_column(table.schema)]
    if not len(column):
        raise unusable("body: the table has no rows")
    return [_of_scalar(scalar) for scalar in column]


def _signal_column(schema: pa.Schema) -> str:
    lists = [field.name for field in schema if _is_list_of_numbers(field.type)]
    if "signal" in lists:
        return "signal"
    if len(lists) != 1:
        raise unusable(
            f"body: expected a column 'signal' of lists of numbers, got columns {schema.names}"
        )
    return lists[0]


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not is_list:
        return False
    item: pa.DataType = kind.value_type  # pyright: ignore[reportAttributeAccessIssue]
    return pa.types.is_floating(item) or pa.types.is_integer(item)


def _of_scalar(scalar: Any) -> Window:
    if not scalar.is_valid:
        return "expected a list of numbers, got null"
    return _float32(scalar.values.to_numpy(zero_copy_only=False))


def _float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def unusable(detail: str) -> ProblemError:
    """The error of a body that holds no windows."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "body_invalid", detail)
