"""All checks, in the order in which one would mend what they find."""

from collections.abc import Iterator

from ppgssl.doctor.cuda import check_cuda, look_at_cuda
from ppgssl.doctor.database import check_database
from ppgssl.doctor.findings import Finding
from ppgssl.doctor.host import (
    check_artifact_root,
    check_data_root,
    check_memory,
    check_port,
    free_disk,
)
from ppgssl.doctor.packages import check_extras, check_versions, declared_requirements
from ppgssl.errors import ConfigError
from ppgssl.host_memory import available_memory
from ppgssl.jobs.settings import Settings, load_settings


def examine() -> Iterator[Finding]:
    """Look at the machine, and at the service that the environment describes."""
    requirements = declared_requirements()
    yield check_versions(requirements)
    yield check_extras(requirements)
    yield check_memory(available_memory())
    try:
        settings = load_settings()
    except ConfigError as error:
        yield Finding.problem("settings", str(error), "correct the variable, and look again")
        return
    yield from examine_service(settings)


def examine_service(settings: Settings) -> Iterator[Finding]:
    """What the two services need, by their settings."""
    yield check_cuda(look_at_cuda(), wanted=settings.device)
    yield check_data_root(settings.data_root)
    yield check_artifact_root(
        settings.artifact_root,
        free_bytes=free_disk(settings.artifact_root),
        min_free_bytes=settings.min_free_bytes,
    )
    yield check_database(settings.database)
    yield check_port(settings.host, settings.port)
