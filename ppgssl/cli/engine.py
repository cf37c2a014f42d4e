"""Where the work of a command is done: options that several commands share."""

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ppgssl.errors import ConfigError

if TYPE_CHECKING:
    from ppgssl.pools.pool import OpenPool


class Engine(StrEnum):
    """Who runs the processes."""

    LOCAL = "local"
    """This command, on this host."""
    RAY = "ray"
    """A Ray cluster, on its hosts. Needs the extra `ray`."""


EngineOption = Annotated[
    Engine, typer.Option(help="local: processes of this host; ray: those of a Ray cluster's hosts.")
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        help="HOST:PORT of the Ray cluster that this host is part of. Default: RAY_ADDRESS, the "
        "cluster that runs here, or a new one of this host alone."
    ),
]


def check_address(engine: Engine, ray_address: str | None) -> None:
    """Refuse an address that nobody would look at.

    Raises:
        ConfigError: It is there, and the engine is not Ray.
    """
    if ray_address is not None and engine is not Engine.RAY:
        raise ConfigError("--ray-address is for --engine ray")


def pool_of(engine: Engine, ray_address: str | None, *, gpus: float = 0.0) -> "OpenPool":
    """Opens pools of workers there.

    Args:
        engine: Where.
        ray_address: Of the Ray cluster.
        gpus: That each worker of a Ray cluster has for itself.

    Raises:
        ConfigError: An address is there, and the engine is not Ray.
    """
    from ppgssl.pools.local import open_local_pool
    from ppgssl.pools.on_ray import open_ray_pool

    check_address(engine, ray_address)
    if engine is Engine.LOCAL:
        return open_local_pool
    return partial(open_ray_pool, address=ray_address, gpus=gpus)
