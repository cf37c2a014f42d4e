"""Which URLs may be told of jobs, and which addresses their names may lead to.

What stands in PPGSSL_WEBHOOK_HOSTS, between commas, and what it lets through:

    hooks.example.org       https://hooks.example.org/...
    hooks.example.org:8443  the same at this port; without one, the scheme's own port only
    *.example.org           https, every name below example.org, but not example.org
    http://receiver:9000    plain HTTP; the name may lead to any address, also this machine's
    10.0.0.7                https://10.0.0.7/...
    10.0.0.0/8              no URL by itself; a name listed above may lead into this network

Other names may lead to public addresses only. A name is one thing when it is checked and may be
another when it is used (DNS rebinding), so the sender looks it up once, has the addresses checked
here, and connects to the very one that it is given. Nothing here opens a socket.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

import httpx

from ppgssl.errors import ConfigError, InputError

SETTING = "PPGSSL_WEBHOOK_HOSTS"
PORTS = {"https": 443, "http": 80}
WILDCARD = "*."


class WebhookUrlError(InputError):
    """It is no URL that anything could be sent to."""

    code = "webhook_url_invalid"


class WebhookHostError(InputError):
    """The setting does not let anything be sent there."""

    code = "webhook_host_not_allowed"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host in lower case, and port; as a rule its host may begin with a wildcard."""

    scheme: str
    host: str
    port: int

    def covers(self, other: "Origin") -> bool:
        """Whether this rule lets the other through."""
        same_host = other.host == self.host or (
            self.host.startswith(WILDCARD) and other.host.endswith(self.host.removeprefix("*"))
        )
        return same_host and (self.scheme, self.port) == (other.scheme, other.port)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """What the setting says."""

    origins: Sequence[Origin]
    networks: Sequence[IPv4Network | IPv6Network]

    @classmethod
    def parse(cls, setting: str) -> Self:
        """The rules of a list between commas.

        Raises:
            ConfigError: An entry is neither a host nor a network.
        """
        entries = [entry.strip() for entry in setting.split(",") if entry.strip()]
        networks = [entry for entry in entries if "/" in entry and "://" not in entry]
        origins = [_origin_of_entry(entry) for entry in entries if entry not in networks]
        addresses = [origin.host for origin in origins if _is_address(origin.host)]
        return cls(origins, [_network_of(entry) for entry in (*networks, *addresses)])

    def check(self, text: str) -> httpx.URL:
        """The URL, once it is clear that it may be told.

        Raises:
            WebhookUrlError: It is no https:// or http:// URL, or it carries a password.
            WebhookHostError: The setting does not let it through.
        """
        url = parsed_url(text)
        if self._rule_of(url) is None:
            allowed = ", ".join(_shown(origin) for origin in self.origins)
            raise WebhookHostError(
                f"url: {_shown(origin_of(url))} may not be told of jobs; {SETTING} allows "
                f"{allowed or 'nothing, so webhooks are off'}; whoever runs the service can add "
                "the host there"
            )
        return url

    def pick_address(self, url: httpx.URL, addresses: Sequence[str]) -> str:
        """The first of the addresses that the URL's name has; one that is refused refuses all.

        Raises:
            WebhookHostError: One of them is not public and not listed, or there is none.
        """
        rule = self._rule_of(url)
        for address in addresses:
            if rule is None or not self._may_reach(ipaddress.ip_address(address), rule):
                raise WebhookHostError(
                    f"{origin_of(url).host} leads to {address}, which is not a public address; "
                    f"list the address or its network in {SETTING} where that is meant"
                )
        if not addresses:
            raise WebhookHostError(f"{origin_of(url).host} leads to no address")
        return addresses[0]

    def _rule_of(self, url: httpx.URL) -> Origin | None:
        origin = origin_of(url)
        return next((rule for rule in self.origins if rule.covers(origin)), None)

    def _may_reach(self, address: IPv4Address | IPv6Address, rule: Origin) -> bool:
        is_public = address.is_global and not address.is_multicast
        is_listed = any(address in network for network in self.networks)
        return is_public or is_listed or rule.scheme == "http"


def parsed_url(text: str) -> httpx.URL:
    """A URL that something can be posted to.

    Raises:
        WebhookUrlError: It is none.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise WebhookUrlError(f"url: {error}; expected https://HOST/PATH") from error
    if url.scheme not in PORTS or not url.raw_host or url.userinfo or url.fragment:
        raise WebhookUrlError(
            "url: expected https://HOST/PATH, without a user, a password or a fragment"
        )
    return url


def origin_of(url: httpx.URL) -> Origin:
    """Where a URL leads, by names."""
    host = url.raw_host.decode("ascii").lower()
    return Origin(url.scheme, host, url.port or PORTS[url.scheme])


def _origin_of_entry(entry: str) -> Origin:
    try:
        url = parsed_url(entry if "://" in entry else f"https://{entry}")
    except WebhookUrlError as error:
        raise _bad_entry(entry) from error
    origin = origin_of(url)
    if url.raw_path != b"/" or "*" in origin.host.removeprefix(WILDCARD):
        raise _bad_entry(entry)
    return origin


def _network_of(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise _bad_entry(entry) from error


def _bad_entry(entry: str) -> ConfigError:
    return ConfigError(
        f"{SETTING}: {entry!r} is no host; list names, *.names, http://names, addresses or "
        "networks, each with a port where it is not the usual one, between commas"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _shown(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if origin.port == PORTS[origin.scheme] else f":{origin.port}"
    return f"{origin.scheme}://{host}{port}"
