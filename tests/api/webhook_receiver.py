"""A real HTTP server that takes webhooks, and answers what it was told to."""

import ssl
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """What came in, and what is answered: `statuses` in turn, the last one for ever."""

    statuses: list[int]
    location: str = ""
    port: int = 0
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jobs?ward=3"

    @property
    def host(self) -> str:
        """As PPGSSL_WEBHOOK_HOSTS lists it."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiving(
    statuses: Sequence[int] = (204,), *, location: str = "", tls: ssl.SSLContext | None = None
) -> Generator[Receiver]:
    """A receiver on a loopback port, from its first request to its end."""
    receiver = Receiver(list(statuses), location)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.paths.append(self.path)
            receiver.headers.append({name.lower(): text for name, text in self.headers.items()})
            receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            waiting = receiver.statuses
            self.send_response(waiting.pop(0) if len(waiting) > 1 else waiting[0])
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
