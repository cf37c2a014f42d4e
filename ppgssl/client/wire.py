"""What both clients do alike around a request: when to try again, and what arrives in pieces."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from ppgssl.client.errors import DamagedError
from ppgssl.client.records import Event, File
from ppgssl.errors import InputError, ServiceError

TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # the service sends a sign of life every 15 s
RETRIES = 4
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0
WORTH_RETRYING = frozenset({429, 502, 503, 504})
CHUNK_BYTES = 2**20
NO_URL = (httpx.InvalidURL, httpx.UnsupportedProtocol)


def headers(api_key: str | None) -> dict[str, str]:
    """What every request carries."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def root_of(url: str) -> str:
    """A service's URL, without the prefix of its routes where somebody copied that along."""
    return url.rstrip("/").removesuffix("/v1")


def no_url_error(url: str) -> InputError:
    """The error of a client that was given something else than a URL."""
    return InputError(f"{url!r} is no URL of a service; it should look like http://HOST:PORT")


class Tries:
    """Counts the tries of one request, and says how long to wait between them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._done = 0

    def delay_after(self, error: Exception | None) -> float:
        """Seconds to wait after a failure, more each time.

        Raises:
            ServiceError: No try is left.
        """
        if self._done >= RETRIES:
            said = str(error or "it hangs up before the end") or type(error).__name__
            hint = "; is the service running?" if isinstance(error, httpx.ConnectError) else ""
            raise ServiceError(f"{self._url}: {said}{hint}") from error
        self._done += 1
        return self._own_delay_s()

    def delay_as_told(self, answer: httpx.Response) -> float | None:
        """Seconds to wait before asking again, as `Retry-After` says; None: take the answer."""
        if answer.status_code not in WORTH_RETRYING or self._done >= RETRIES:
            return None
        self._done += 1
        told = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        return self._own_delay_s() if told is None else min(told, LONGEST_DELAY_S)

    def _own_delay_s(self) -> float:
        # clients that were cut off together must not come back together
        return FIRST_DELAY_S * 2 ** (self._done - 1) * random.uniform(0.5, 1.0)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as a number or a date; None without."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None


class EventParser:
    """Server-Sent Events out of a stream's lines; an unfinished last one is dropped."""

    def __init__(self) -> None:
        self._members: dict[str, str] = {}

    def feed(self, line: str) -> Event | None:
        """The event that a line ends; None for all other lines."""
        if line:
            name, _, value = line.partition(":")
            self._members[name] = value.removeprefix(" ")
            return None
        members, self._members = self._members, {}
        if "data" not in members:
            return None
        return Event(int(members["id"]), members["event"], json.loads(members["data"]))


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream's lines."""
    parser = EventParser()
    return (event for line in lines if (event := parser.feed(line)) is not None)


class Incoming:
    """A file on its way to the disk, hashed as it comes.

    Args:
        folder: Where it is written, under its name.
        file: What the service announced.
    """

    def __init__(self, folder: Path, file: File) -> None:
        self._file = file
        self._target = (folder / file.name).open("wb")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._target.close()

    def add(self, chunk: bytes) -> None:
        """Write some of it."""
        self._digest.update(chunk)
        self._target.write(chunk)

    def check(self) -> None:
        """Compare all of it with what was announced.

        Raises:
            DamagedError: It is something else.
        """
        found = self._digest.hexdigest()
        if found != self._file.sha256:
            raise DamagedError(f"{self._file.name} has the sha256 {found}, not {self._file.sha256}")


def gone(file: File) -> DamagedError:
    """What is said of a file that is listed and not there."""
    return DamagedError(f"{file.name} was replaced meanwhile")


def move_all(files: Sequence[File], folder: Path, out: Path) -> list[Path]:
    """Move downloaded files to where they belong."""
    return [(folder / file.name).replace(out / file.name) for file in files]
