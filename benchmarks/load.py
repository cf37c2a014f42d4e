"""Many HTTP clients in one thread that cost next to nothing: on two cores the clients' cost counts.

Requests are bytes that were made beforehand, connections stay open, and answers are read as far as
their status and length. Speaks HTTP/1.1 to whoever answers with a `Content-Length`.
"""

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from benchmarks.timing import percentile

MAX_READ = 1 << 20
END_OF_HEAD = b"\r\n\r\n"
STATUS = slice(9, 12)
"""Where it stands in an answer."""
HUNG_UP = 0
"""In place of a status."""
ANSWER_SECONDS = 60.0
"""Whoever gives no answer for so long never will."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One client: sends `request`, waits for the answer, rests for `pause_s`, and again."""

    name: str
    request: bytes
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller got, and how long it took from the first byte sent to the last one read."""

    name: str
    status: int
    seconds: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers that came within `seconds`, and what asking cost this process."""

    answers: Sequence[Answer]
    seconds: float
    client_cpu_s: float

    def of(self, name: str) -> list[Answer]:
        """The answers to the callers of this name."""
        return [answer for answer in self.answers if answer.name == name]

    @property
    def per_second(self) -> float:
        """Requests answered with 200."""
        return sum(answer.status == HTTPStatus.OK for answer in self.answers) / self.seconds

    @property
    def p99(self) -> float:
        """Of the requests answered with 200, seconds."""
        return percentile([a.seconds for a in self.answers if a.status == HTTPStatus.OK], 0.99)

    @property
    def client_share(self) -> float:
        """Of one core, that the clients took."""
        return self.client_cpu_s / self.seconds


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A request as it goes over the wire."""
    return _head("POST", url, {**headers, "Content-Length": str(len(body))}) + body


def get(url: str) -> bytes:
    """The same without a body."""
    return _head("GET", url, {})


def _head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(url: str, request: bytes) -> bytes:
    """The body of one answer.

    Raises:
        RuntimeError: It is not 200.
    """
    with _Clients(url) as clients:
        clients.send(Caller("", request))
        (answer,) = (answer for _, answer in clients.remaining())
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{url} answered {answer.status}: {answer.body[:500]!r}")
    return answer.body


def closed_loop(url: str, callers: Iterable[Caller], seconds: float) -> Traffic:
    """Let every caller ask again and again; requests under way at the end are waited for."""
    turn = itertools.count()
    resting = [(0.0, next(turn), caller) for caller in callers]
    with _Clients(url) as clients:
        measured = _Measured(seconds)
        while (now := time.perf_counter()) < measured.end:
            while resting and resting[0][0] <= now:
                clients.send(heapq.heappop(resting)[2])
            next_due = resting[0][0] if resting else measured.end
            for caller, answer in clients.answers(min(next_due, measured.end) - now):
                measured.answers.append(answer)
                due = time.perf_counter() + caller.pause_s
                heapq.heappush(resting, (due, next(turn), caller))
        measured.answers += [answer for _, answer in clients.remaining()]
        return measured.traffic()


def open_loop(url: str, caller: Caller, per_second: float, seconds: float) -> Traffic:
    """Send requests at a fixed rate, whether or not those before were answered."""
    sent = 0
    with _Clients(url) as clients:
        measured = _Measured(seconds)
        while (now := time.perf_counter()) < measured.end:
            while sent < (now - measured.began) * per_second:
                clients.send(caller)
                sent += 1
            measured.answers += [answer for _, answer in clients.answers(1 / per_second)]
        measured.answers += [answer for _, answer in clients.remaining()]
        return measured.traffic()


class _Measured:
    """Answers, time and cost since it was made."""

    def __init__(self, seconds: float) -> None:
        self.answers: list[Answer] = []
        self.began = time.perf_counter()
        self.end = self.began + seconds
        self._cpu_began = time.process_time()

    def traffic(self) -> Traffic:
        took = time.perf_counter() - self.began
        return Traffic(self.answers, took, time.process_time() - self._cpu_began)


class _Clients:
    """Connections that stay open: idle ones are used again, new ones made where there is none."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._num_waiting = 0

    def __enter__(self) -> "_Clients":
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def send(self, caller: Caller) -> None:
        """Ask; the answer comes out of `answers`."""
        connection = self._idle.pop() if self._idle else self._connect()
        connection.begin(caller)
        self._num_waiting += 1

    def answers(self, timeout_s: float) -> Iterator[tuple[Caller, Answer]]:
        """What is there, or comes first within the time."""
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            connection: _Connection = key.data
            waited = connection.is_waiting
            answer = connection.receive()
            if waited and answer is not None:
                self._num_waiting -= 1
                yield connection.caller, answer
            self._keep_or_forget(connection)

    def remaining(self) -> Iterator[tuple[Caller, Answer]]:
        """Whatever is under way.

        Raises:
            TimeoutError: It was in vain.
        """
        deadline = time.perf_counter() + ANSWER_SECONDS
        while self._num_waiting:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{self._address} leaves {self._num_waiting} without an answer")
            yield from self.answers(1.0)

    def _connect(self) -> "_Connection":
        connection = _Connection(socket.create_connection(self._address))
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _keep_or_forget(self, connection: "_Connection") -> None:
        if connection.is_closed:
            self._selector.unregister(connection.socket)
            connection.socket.close()
            if connection in self._idle:
                self._idle.remove(connection)
        elif not connection.is_waiting:
            self._idle.append(connection)


class _Connection:
    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_waiting, self.is_closed = False, False

    def begin(self, caller: Caller) -> None:
        self.caller, self.is_waiting = caller, True
        self._received = b""
        self._body_begins, self._end = 0, 0
        self._sent_at = time.perf_counter()
        self.socket.sendall(caller.request)

    def receive(self) -> Answer | None:
        """Read what is there; the answer once it is complete, or in vain."""
        content = self._read()
        if not content:
            self.is_waiting, self.is_closed = False, True
            return self._answer(HUNG_UP)
        self._received += content
        if not self._end:
            self._read_head()
        if not self._end or len(self._received) < self._end:
            return None
        self.is_waiting = False
        return self._answer(int(self._received[STATUS]))

    def _read(self) -> bytes:
        try:
            return self.socket.recv(MAX_READ)
        except ConnectionError:
            return b""

    def _answer(self, status: int) -> Answer:
        seconds = time.perf_counter() - self._sent_at
        return Answer(self.caller.name, status, seconds, self._received[self._body_begins :])

    def _read_head(self) -> None:
        end = self._received.find(END_OF_HEAD)
        if end < 0:
            return
        for line in self._received[:end].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                self._body_begins = end + len(END_OF_HEAD)
                self._end = self._body_begins + int(value)
                return
        raise RuntimeError(f"an answer without Content-Length: {self._received[:end]!r}")
