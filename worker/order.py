"""What a worker tells its child process to do: one JSON file, written once, read once."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """One claim of one job. Paths are text, so that the whole of it is JSON."""

    job_id: str
    attempt: int
    runner: str
    """`module:function` that does the work; see `worker.kinds`."""
    config: dict[str, Any]
    dataset: str | None
    data_root: str
    encoders: str
    """Folder of the encoders that are kept for jobs, each named by its sha256."""
    out: str
    """Folder of this claim; nobody else writes there."""
    resume_from: str | None
    """Folder of the job's published checkpoint `last`, to continue from."""
    device: str
    """For a config that says `auto`."""
    parent_pid: int

    def write(self, path: Path) -> None:
        """Write the order as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Order":
        """The order that `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
