"""The API's process: checks what it is asked to listen on, and serves until told to stop."""

import ipaddress
import sys

import uvicorn

from api.app import create_app
from ppgssl.errors import ConfigError
from ppgssl.jobs.settings import Settings, load_settings
from ppgssl.jobs.structured_logging import configure_logging
from ppgssl.threads import let_idle_threads_sleep

STOP_SECONDS = 3  # watchers of events never hang up by themselves
EXIT_USAGE = 2


def check_access(settings: Settings) -> None:
    """Refuse to open the service to a network without a key.

    Raises:
        ConfigError: The host is not loopback, and there is neither a key nor a setting to allow it.
    """
    if settings.api_key is None and not settings.allow_open_access and not _is_loopback(settings):
        raise ConfigError(
            f"PPGSSL_HOST: {settings.host!r} lets others reach this service, and it has no key; "
            "set PPGSSL_API_KEY, or PPGSSL_ALLOW_OPEN_ACCESS=1 where something else guards the port"
        )


def _is_loopback(settings: Settings) -> bool:
    if settings.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return False


def serve(settings: Settings) -> None:
    """Run the API in this process until SIGTERM or SIGINT.

    Raises:
        ConfigError: It must not listen there, or the database URL cannot be read.
    """
    check_access(settings)
    configure_logging(settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def main() -> None:
    """Run the API with the settings of the environment; exit 2 where they are wrong."""
    let_idle_threads_sleep()
    try:
        serve(load_settings())
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
