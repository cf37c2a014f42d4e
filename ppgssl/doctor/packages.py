"""Are the installed packages those that ppgssl asks for, and which of its extras are there?"""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata

from packaging.requirements import Requirement

from ppgssl.doctor.findings import Finding

DEVELOPMENT = "dev"  # an extra that nobody misses

InstalledVersion = Callable[[str], str | None]


def installed_version(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def declared_requirements() -> list[Requirement]:
    """What the installed ppgssl says that it needs."""
    return [Requirement(line) for line in metadata.requires("ppgssl") or ()]


def check_versions(
    requirements: Sequence[Requirement], installed: InstalledVersion = installed_version
) -> Finding:
    """Hold what is installed against what ppgssl needs without any extra."""
    wrong = [
        requirement
        for requirement in requirements
        if _applies(requirement, "") and not _is_met(requirement, installed)
    ]
    if wrong:
        found = ", ".join(f"{one.name} {installed(one.name) or 'is missing'}" for one in wrong)
        needed = " ".join(f"'{one.name}{one.specifier}'" for one in wrong)
        return Finding.problem("packages", found, f"pip install {needed}")
    torch = installed("torch")
    return Finding.ok(
        "packages",
        f"ppgssl {installed('ppgssl')}, Python {platform.python_version()}, PyTorch {torch}",
    )


def check_extras(
    requirements: Sequence[Requirement], installed: InstalledVersion = installed_version
) -> Finding:
    """Name the extras that are there; one that is there in an impossible version is a problem."""
    there: list[str] = []
    for extra in _extras(requirements):
        own = [one for one in requirements if _applies(one, extra) and not _applies(one, "")]
        if not all(installed(one.name) for one in own):
            continue
        wrong = [one for one in own if not _is_met(one, installed)]
        if wrong:
            found = ", ".join(f"{one.name} {installed(one.name)}" for one in wrong)
            return Finding.problem(
                "extras", f"[{extra}]: {found}", f"pip install --upgrade 'ppgssl[{extra}]'"
            )
        there.append(extra)
    return Finding.ok("extras", ", ".join(there) or "none")


def _extras(requirements: Sequence[Requirement]) -> Iterator[str]:
    names = metadata.metadata("ppgssl").get_all("Provides-Extra") or ()
    for name in sorted(names):
        if name != DEVELOPMENT and any(
            _applies(one, name) and not _applies(one, "") for one in requirements
        ):
            yield name


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _is_met(requirement: Requirement, installed: InstalledVersion) -> bool:
    version = installed(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)
