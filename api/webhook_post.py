"""One try of one delivery: signed, sent to a checked address; of its answer the status counts.

Headers and signature are those of Standard Webhooks (version 1.0.0, symmetric). Redirects are not
followed, the answer's body is not read, and no proxy of the environment is used: it would look the
name up once more.
"""

import asyncio
import base64
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx

from api.webhook_hosts import AllowedHosts
from ppgssl import __version__
from ppgssl.jobs.deliveries import Outcome, Try
from ppgssl.jobs.webhooks import SECRET_BEGINS

TIMEOUT_S = 15.0  # in all; Standard Webhooks: 15 to 30 s
NO_REUSE = httpx.Limits(max_keepalive_connections=0)  # two names may share an address, not a trust

LookUp = Callable[[str], Awaitable[Sequence[str]]]


def sign(secret: str, delivery_id: str, timestamp: int, body: str) -> str:
    """The header `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix(SECRET_BEGINS))
    signed = f"{delivery_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def look_up(host: str) -> Sequence[str]:
    """The addresses of a name, the best first."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def outcome_of(answer: httpx.Response) -> Outcome:
    """What an answer's head says; `Retry-After` counts where it is in seconds."""
    retry_after = answer.headers.get("retry-after", "")
    is_number = retry_after.isascii() and retry_after.isdigit()
    return Outcome(answer.status_code, retry_after_s=float(retry_after) if is_number else 0.0)


class Postman:
    """Sends tries to where the setting allows.

    Args:
        hosts: What the setting allows.
        tls: Whom to believe; the usual authorities where it is not given.
        look_up: Addresses of a name.
        clock: Seconds since 1970.
        timeout_s: A try may take this long.
    """

    def __init__(
        self,
        hosts: AllowedHosts,
        *,
        tls: ssl.SSLContext | None = None,
        look_up: LookUp = look_up,
        clock: Callable[[], float] = time.time,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._hosts = hosts
        self._tls = tls or httpx.create_ssl_context()
        self._look_up = look_up
        self._clock = clock
        self._timeout_s = timeout_s

    async def post(self, tried: Try) -> Outcome:
        """Send one try; whatever goes wrong out there is its outcome."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return outcome_of(await self._answer(tried))
        except TimeoutError:
            return Outcome(error=f"no answer within {self._timeout_s:g} s")
        except (OSError, ValueError, httpx.HTTPError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}")

    async def _answer(self, tried: Try) -> httpx.Response:
        url = self._hosts.check(tried.url)
        host = url.raw_host.decode("ascii")
        address = self._hosts.pick_address(url, await self._look_up(host))
        client = httpx.AsyncClient(
            verify=self._tls, trust_env=False, limits=NO_REUSE, timeout=self._timeout_s
        )
        async with (
            client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=tried.body,
                headers={"Host": url.netloc.decode("ascii"), **self._headers(tried)},
                extensions={"sni_hostname": host},  # the certificate is the name's
            ) as answer,
        ):
            return answer

    def _headers(self, tried: Try) -> dict[str, str]:
        timestamp = int(self._clock())
        return {
            "Content-Type": "application/json",
            "User-Agent": f"ppgssl/{__version__}",
            "webhook-id": tried.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(tried.secret, tried.id, timestamp, tried.body),
        }
