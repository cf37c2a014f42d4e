"""Whether the kernel killed for want of memory: a process that dies of SIGKILL says nothing."""

from pathlib import Path

VMSTAT = Path("/proc/vmstat")


def oom_kills(vmstat: Path = VMSTAT) -> int:
    """Processes that the kernel killed for memory since it started; 0 where it does not count."""
    if not vmstat.exists():
        return 0
    counts = dict(line.split() for line in vmstat.read_text(encoding="ascii").splitlines())
    return int(counts.get("oom_kill", 0))
