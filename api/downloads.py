"""A file over HTTP: whole or a range of it, never changed on the way, never read into memory.

The file is opened before the answer begins: a run that replaces its checkpoint meanwhile does not
tear it.
"""

import base64
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import BinaryIO

from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.datastructures import Headers

from api.problems import ProblemError

CHUNK_BYTES = 256 * 1024
ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def download(
    file: BinaryIO,
    *,
    name: str,
    size: int,
    sha256: str,
    request_headers: Headers,
    media_type: str = "application/octet-stream",
) -> Response:
    """Answer a download; closes `file`.

    Args:
        file: The file, opened for reading.
        name: What the browser calls it.
        size: Its length, bytes.
        sha256: Of all of it, hex: the ETag, and the Digest by which the receiver checks it.
        request_headers: `Range`, `If-Range` and `If-None-Match` are heeded.
        media_type: What it is.

    Raises:
        ProblemError: 416, the range lies outside the file.
    """
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # may be kept, must be asked for: `best` moves
    }
    if names(request_headers.get("if-none-match", ""), etag):
        file.close()
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        wanted = None
        if request_headers.get("if-range", etag) == etag:
            wanted = parse_range(request_headers.get("range"), size)
    except ProblemError:
        file.close()
        raise
    start, stop = wanted or (0, size)
    headers |= {
        "Content-Length": str(stop - start),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Digest": f"sha-256={base64.b64encode(bytes.fromhex(sha256)).decode()}",
    }
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingResponse(
        chunks(file, start, stop),
        HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT,
        headers,
        media_type=media_type,
        background=BackgroundTask(file.close),
    )


def names(condition: str, etag: str) -> bool:
    """Whether an `If-None-Match` header names the ETag."""
    given = [part.strip().removeprefix("W/") for part in condition.split(",")]
    return etag in given or given == ["*"]


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last that a `Range` header asks for.

    None is the whole file: no header, or one that may be ignored (several ranges, other units).

    Raises:
        ProblemError: 416, the range lies outside the file.
    """
    match = ONE_RANGE.fullmatch(header.replace(" ", "")) if header is not None else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise ProblemError(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            f"the file has {size} bytes, {header!r} lies outside",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def chunks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` to before `stop`."""
    with file:
        file.seek(start)
        left = stop - start
        while left and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
