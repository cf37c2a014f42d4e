"""How much memory this process may still take."""

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def available_memory(
    meminfo: Path = MEMINFO, limit: Path = CGROUP_LIMIT, used: Path = CGROUP_USED
) -> int | None:
    """Bytes that this process may still take, within its container; None where nobody says."""
    if not meminfo.is_file():
        return None
    rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    free = int(rows["MemAvailable"].split()[0]) * 1024
    of_container = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    if of_container == "max":
        return free
    return min(free, int(of_container) - int(used.read_text(encoding="ascii")))
