"""The API's process: checks what it is asked to listen on, and serves until told to stop."""

import errno
import socket
import sys

import uvicorn

from api.access import may_be_open
from api.app import create_app
from ppgssl.errors import ConfigError, InputError
from ppgssl.jobs.database import check_database, migrate, open_database
from ppgssl.jobs.keys import ApiKeys
from ppgssl.jobs.settings import Settings, load_settings
from ppgssl.jobs.structured_logging import configure_logging
from ppgssl.threads import keep_for_good, take_short_turns

STOP_SECONDS = 3  # watchers of events never hang up by themselves
IDLE_SECONDS = 75  # longer than proxies keep connections: who asks first and who hangs up is a race
EXIT_USAGE = 2


def check_access(settings: Settings) -> None:
    """Refuse to open the service to a network without a key.

    Raises:
        ConfigError: Others reach the address, and there is neither a key nor a setting to allow it.
    """
    if settings.api_key is not None or may_be_open(settings) or _has_key(settings):
        return
    variable = "PUBLISHED_ADDRESS" if settings.published_address else "HOST"
    raise ConfigError(
        f"PPGSSL_{variable}: {settings.published_address or settings.host!r} lets others reach "
        "this service, and it has no key; make one with `ppgssl keys create`, set PPGSSL_API_KEY, "
        "or PPGSSL_ALLOW_OPEN_ACCESS=1 where something else guards the port"
    )


def _has_key(settings: Settings) -> bool:
    engine = open_database(settings.database)
    try:
        migrate(engine)
        return any(key.revoked_at is None for key in ApiKeys(engine).all())
    finally:
        engine.dispose()


def check_address(settings: Settings) -> None:
    """Refuse an address that another program listens on, or that is none of this machine's.

    Raises:
        ConfigError: Nothing can listen there.
    """
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"PPGSSL_PORT: another program listens on {host}:{port}; stop it or set another port"
            if taken
            else f"PPGSSL_HOST: cannot listen on {host}:{port}: {error.strerror}"
        ) from error


def check_device(name: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        DeviceError: It has no such device.
    """
    from ppgssl.training.devices import resolve_device  # brings PyTorch: seconds

    resolve_device(name)


def serve(settings: Settings) -> None:
    """Run the API in this process until SIGTERM or SIGINT.

    Raises:
        ConfigError: It must not listen there, or the database URL cannot be read.
    """
    check_access(settings)
    configure_logging(settings.log_level)
    app = create_app(settings)
    keep_for_good()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
    )


def main() -> None:
    """Run the API with the settings of the environment; exit 2 where they are wrong."""
    take_short_turns()
    try:
        settings = load_settings()
        check_database(settings.database)
        check_address(settings)
        if settings.device.startswith("cuda"):
            check_device(settings.device)
        serve(settings)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
