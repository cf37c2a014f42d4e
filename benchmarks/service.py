"""The service against the encoder called in process: throughput, a lone request, overload.

The server is `python -m api` with its defaults, the clients are this process. What is compared is
measured in turn, so that whatever else the machine does slows both down.
"""

import statistics
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import orjson

from api.window_bodies import read_json, windows_of_input
from benchmarks.load import HUNG_UP, Caller, Traffic, closed_loop, get, open_loop, post
from benchmarks.servers import RAW, Server, allow_many_connections, ppgssl_api
from benchmarks.timing import Figure, in_turn, percentile, ratio, seconds
from benchmarks.windows import FS_HZ, LONG, SHORT, windows
from ppgssl.inference.encoder import PpgEncoder, load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.jobs.settings import Settings

CLIENTS = 32
ROUNDS = 5
SECONDS = 4.0
JSON_ROUNDS = 50
LONE_ROUNDS = 10
LONE_SECONDS = {SHORT: 0.5, LONG: 1.0}
BATCHES = {SHORT: (16, 32, 64, 128), LONG: (1, 2, 4)}
WINDOWS_A_REQUEST = {SHORT: (1, 16), LONG: (1,)}
LENGTH = {SHORT: "10 s", LONG: "10 minutes"}

PROBED = ("/healthz", "/v1/jobs", "/v1/models")
PROBE_PAUSE_S = 0.02
SATURATED_SECONDS = 10.0

OVERLOAD = 5
OVERLOAD_SECONDS = 60.0
FILLING_SECONDS = 15.0
"""Until the queue is full and buffers have the size that they keep."""
ROUTE = f"/v1/embeddings?fs_hz={FS_HZ:g}"


def measure() -> Iterator[Figure]:
    """Ratios to the encoder in process, and how the service bears too much."""
    yield json_parsing()
    encoder = load_encoder("default")
    allow_many_connections()
    with ppgssl_api() as server:
        for samples in (SHORT, LONG):
            for count in WINDOWS_A_REQUEST[samples]:
                yield throughput(server, encoder, samples, count)
            yield lone_request(server, encoder, samples)
        yield from saturation(server)
        yield from overload(server)


def json_parsing() -> Figure:
    """From a JSON body of ten minutes to its windows, against the text's bare parse."""
    body = bytearray(orjson.dumps({"input": windows(1, LONG).tolist(), "fs_hz": FS_HZ}))
    works = {
        "api": lambda: windows_of_input(read_json(body).input),
        "orjson": lambda: orjson.loads(body),
    }
    taken = in_turn(works, JSON_ROUNDS)
    return Figure(
        f"service, JSON of {LONG:,} numbers: parse and validate against orjson's bare parse",
        ratio(taken["api"], taken["orjson"]),
        goal="<= 2",
        note=", ".join(f"{name} {1e3 * statistics.median(t):.2f} ms" for name, t in taken.items()),
    )


def throughput(server: Server, encoder: PpgEncoder, samples: int, count: int) -> Figure:
    """Windows a second of 32 clients, against calls of the encoder with its best batch size."""
    callers = [Caller("", body) for body in requests(server, samples, count)]
    size = best_batch(encoder, samples)
    closed_loop(server.url, callers, seconds=0.5)
    served: list[float] = []
    in_process: list[float] = []
    shares: list[float] = []
    for _ in range(ROUNDS):
        traffic = closed_loop(server.url, callers, SECONDS)
        served.append(count * traffic.per_second)
        shares.append(traffic.client_share)
        in_process.append(windows_per_s(encoder, samples, size, SECONDS))
    each = "1 window" if count == 1 else f"{count} windows"
    return Figure(
        f"service, {CLIENTS} clients, {each} of {LENGTH[samples]} a request, raw: "
        "windows/s against the encoder in process",
        ratio(served, in_process),
        goal=">= 0.95",
        note=f"{statistics.median(served):.1f} and {statistics.median(in_process):.1f} windows/s "
        f"(batches of {size}); the clients took {statistics.median(shares):.1%} of a core",
    )


def lone_request(server: Server, encoder: PpgEncoder, samples: int) -> Figure:
    """What a request costs beside its embedding, when nobody else asks."""
    batch = windows(1, samples)
    callers = [Caller("", body) for body in requests(server, samples, 1, clients=1)]
    served: list[float] = []
    in_process: list[float] = []
    for _ in range(LONE_ROUNDS):
        traffic = closed_loop(server.url, callers, LONE_SECONDS[samples])
        served += [answer.seconds for answer in traffic.answers]
        in_process += [seconds(lambda: embed(encoder, batch)) for _ in traffic.answers]
    request_s, call_s = statistics.median(served), statistics.median(in_process)
    return Figure(
        f"service, a lone request of {LENGTH[samples]}, raw: p50 less 2 ms, against a lone call "
        "of the encoder",
        (request_s - 2e-3) / call_s,
        goal="<= 1.10",
        note=f"{1e3 * request_s:.2f} ms and {1e3 * call_s:.2f} ms",
    )


def saturation(server: Server) -> Iterator[Figure]:
    """How soon other routes answer while 32 clients keep the encoder busy."""
    busy = [Caller("embeddings", body) for body in requests(server, SHORT, 1)]
    probes = [Caller(path, get(server.url + path), PROBE_PAUSE_S) for path in PROBED]
    traffic = closed_loop(server.url, [*busy, *probes], SATURATED_SECONDS)
    for path in PROBED:
        answers = traffic.of(path)
        yield Figure(
            f"service, GET {path} while saturated: p99",
            1e3 * percentile([answer.seconds for answer in answers], 0.99),
            "ms",
            goal="<= 50 ms",
            note=f"{len(answers)} requests; {statuses(traffic)}",
        )


def overload(server: Server) -> Iterator[Figure]:
    """Five times what it can do, for a minute: who waits how long, what fails, what stays."""
    callers = [Caller("", body) for body in requests(server, SHORT, 1)]
    capacity = closed_loop(server.url, callers, SECONDS).per_second
    offer = OVERLOAD * capacity
    open_loop(server.url, callers[0], offer, FILLING_SECONDS)
    before = server.resident_bytes()
    traffic = open_loop(server.url, callers[0], offer, OVERLOAD_SECONDS)
    growth = server.resident_bytes() - before
    wait_s = Settings().embedding_wait_seconds
    named = f"service, {OVERLOAD} x capacity for {OVERLOAD_SECONDS:g} s"
    yield Figure(
        f"{named}: p99 of accepted requests",
        traffic.p99,
        "s",
        goal=f"<= {1.1 * wait_s:g} s",
        note=f"bounded by a queue of {wait_s:g} s; {len(traffic.answers)} requests offered, "
        f"{offer:.0f} a second; {traffic.per_second / capacity:.0%} of the capacity kept",
    )
    wrong = sum(answer.status not in (200, 429) for answer in traffic.answers)
    yield Figure(f"{named}: errors other than 429", wrong, goal="0", note=statuses(traffic))
    yield Figure(
        f"{named}: growth of memory",
        growth / 2**20,
        "MiB",
        goal="none",
        note=f"from {before / 2**20:.0f} MiB, after {FILLING_SECONDS:g} s of it",
    )


def requests(server: Server, samples: int, count: int, clients: int = CLIENTS) -> list[bytes]:
    """One per client, each with windows of its own."""
    bodies = windows(clients * count, samples).reshape(clients, count, samples)
    url = f"{server.url}{ROUTE}&windows={count}"
    return [post(url, body.tobytes(), RAW) for body in bodies]


def best_batch(encoder: PpgEncoder, samples: int) -> int:
    """The batch size at which the encoder alone gives most windows a second."""
    return max(BATCHES[samples], key=lambda size: windows_per_s(encoder, samples, size, 1.0))


def windows_per_s(encoder: PpgEncoder, samples: int, size: int, at_least_s: float) -> float:
    """Of calls with batches of a size, one after the other."""
    batch = windows(size, samples)
    embed(encoder, batch)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < at_least_s:
        embed(encoder, batch)
        done += size
    return done / (time.perf_counter() - began)


def embed(encoder: PpgEncoder, batch: npt.NDArray[np.float32]) -> None:
    """What the service calls for the same windows."""
    encoder.embed_sound(batch, FS_HZ, Granularity.WINDOW)


def statuses(traffic: Traffic) -> str:
    """How often each status was answered."""
    names = {HUNG_UP: "hung up"}
    found = [answer.status for answer in traffic.answers]
    return ", ".join(f"{names.get(s, s)}: {found.count(s)}" for s in sorted(set(found)))
