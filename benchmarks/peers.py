"""The service against LitServe, BentoML and Triton, which serve the same encoder.

Each has an environment of its own under `benchmarks/.peers`, its best configuration and its binary
wire format, and has to return the same embeddings before it is timed. Servers are timed in turn;
those that are not sleep.
"""

import json
import statistics
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.load import Caller, Traffic, ask, closed_loop, post
from benchmarks.peer_environments import python_with
from benchmarks.servers import RAW, Server, free_port, ppgssl_api, serving
from benchmarks.timing import Figure, ratio
from benchmarks.windows import FS_HZ, LONG, SHORT, windows
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.export import PARITY, relative_distance

OURS = "ppgssl"
ROUNDS = 3
GOAL_RATE, GOAL_P99 = ">= 1.5", "< 1"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Load:
    """So many clients with one window each, asking for so long in every round."""

    name: str
    clients: int
    samples: int
    seconds: float


LOADS = (
    Load("32 clients, 10 s", 32, SHORT, 4.0),
    Load("32 clients, 10 minutes", 32, LONG, 4.0),
    Load("a lone client, 10 s", 1, SHORT, 2.0),
    Load("a lone client, 10 minutes", 1, LONG, 2.0),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """How another server is installed, started and asked.

    Attributes:
        name: As its makers write it.
        packages: What pip installs.
        arguments: Of its interpreter; `PORT` stands for the port.
        ready: Path that is answered with 200 once it can embed.
        request: One window at its URL, as bytes; the answer ends with the embedding.
        environment: What its process needs besides.
    """

    name: str
    packages: Sequence[str]
    arguments: Sequence[str]
    ready: str
    request: Callable[[str, Floats], bytes]
    environment: Mapping[str, str] = field(default_factory=dict)


def raw_request(path: str) -> Callable[[str, Floats], bytes]:
    """A window as bytes of float32."""
    return lambda url, window: post(url + path, window.tobytes(), RAW)


def triton_request(url: str, window: Floats) -> bytes:
    """Triton's binary tensors: a head in JSON, the samples behind it."""
    content = window.tobytes()
    tensor = {"name": "window", "datatype": "FP32", "shape": [1, len(window)]}
    head = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(content)}}],
            "outputs": [{"name": "embedding", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return post(f"{url}/v2/models/encoder/infer", head + content, headers)


SERVERS = "benchmarks.peer_servers"
PEERS = (
    Peer(
        "LitServe",
        ["litserve"],
        ["-m", f"{SERVERS}.litserve_server", "PORT"],
        "/health",
        raw_request("/predict"),
    ),
    Peer(
        "BentoML",
        ["bentoml"],
        ["-m", "bentoml", "serve", f"{SERVERS}.bentoml_service:EncoderService", "--port", "PORT"],
        "/readyz",
        raw_request("/embed"),
    ),
    Peer(
        "Triton",
        ["nvidia-pytriton"],
        ["-m", f"{SERVERS}.pytriton_server", "PORT"],
        "/v2/models/encoder/ready",
        triton_request,
        # its interpreter has to be this one, not the system's of the same minor version
        {"LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR")},
    ),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs, and how it is asked."""

    server: Server
    request: Callable[[str, Floats], bytes]

    def embedding(self, window: Floats) -> Floats:
        """Of one window, by way of the server."""
        body = ask(self.server.url, self.request(self.server.url, window))
        return np.frombuffer(body[-4 * 512 :], "<f4")

    def traffic(self, load: Load) -> Traffic:
        """One round, from waking it until it sleeps again."""
        requests = [
            self.request(self.server.url, window) for window in windows(load.clients, load.samples)
        ]
        self.server.wake()
        try:
            callers = [Caller("", request) for request in requests]
            return closed_loop(self.server.url, callers, load.seconds)
        finally:
            self.server.sleep()


def measure() -> Iterator[Figure]:
    """Ratios to the best of the peers that run here."""
    with ExitStack() as running:
        contenders = {OURS: running.enter_context(ours())}
        for peer in PEERS:
            try:
                contender = running.enter_context(started(peer))
            except RuntimeError as error:
                yield Figure(f"peers, {peer.name}", None, note=one_line(error))
            else:
                contenders[peer.name] = contender
        if len(contenders) > 1:
            for load in LOADS:
                yield from compared(contenders, load)


def compared(contenders: Mapping[str, Contender], load: Load) -> Iterator[Figure]:
    """One load: windows a second and p99."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    p99s: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender.traffic(load)  # the first batches of a size are slow
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            traffic = contender.traffic(load)
            rates[name].append(traffic.per_second)
            p99s[name].append(traffic.p99)
    others = [name for name in contenders if name != OURS]
    fastest = max(others, key=lambda name: statistics.median(rates[name]))
    steadiest = min(others, key=lambda name: statistics.median(p99s[name]))
    yield Figure(
        f"peers, {load.name}: windows/s against the best of them",
        ratio(rates[OURS], rates[fastest]),
        goal=GOAL_RATE,
        note=each(rates, lambda rate: f"{rate:.1f}"),
    )
    yield Figure(
        f"peers, {load.name}: p99 against the best of them",
        ratio(p99s[OURS], p99s[steadiest]),
        goal=GOAL_P99,
        note=each(p99s, lambda p99: f"{1e3 * p99:.0f} ms"),
    )


@contextmanager
def ours() -> Iterator[Contender]:
    """This service."""
    with ppgssl_api() as server:
        contender = Contender(server, raw_request(f"/v1/embeddings?fs_hz={FS_HZ:g}"))
        check(contender)
        yield contender


@contextmanager
def started(peer: Peer) -> Iterator[Contender]:
    """A peer that returns the right embeddings.

    Raises:
        RuntimeError: It cannot be installed or started, or returns others.
    """
    python = python_with(peer.name.lower(), peer.packages)
    port = str(free_port())
    command = [str(python), *(port if word == "PORT" else word for word in peer.arguments)]
    url = f"http://127.0.0.1:{port}"
    with serving(command, url, ready=peer.ready, environment=peer.environment) as server:
        contender = Contender(server, peer.request)
        check(contender)
        yield contender


def check(contender: Contender) -> None:
    """That it embeds as the encoder in this process does; puts it to sleep.

    Raises:
        RuntimeError: It does not.
    """
    encoder = load_encoder("default")
    for samples in (SHORT, LONG):
        window = windows(1, samples)
        expected = encoder.embed(window, FS_HZ).embedding
        distance = relative_distance(contender.embedding(window[0])[None], expected)
        if distance > PARITY:
            raise RuntimeError(
                f"{contender.server.url} returns another embedding of {samples} samples: "
                f"relative distance {distance:.2g}, at most {PARITY:g} expected"
            )
    contender.server.sleep()


def each(values: Mapping[str, list[float]], shown: Callable[[float], str]) -> str:
    """Medians by name."""
    return ", ".join(f"{name} {shown(statistics.median(v))}" for name, v in values.items())


def one_line(error: Exception) -> str:
    """The end of a message, for a table's cell."""
    return "cannot run here: " + " ".join(str(error).split()[-40:]).replace("|", "/")
