"""What a fault must not do to a job: gaps, repetitions, two ends, files that are not whole."""

import hashlib
from collections.abc import Iterator

from worker_bench import Bench, undisturbed

from ppgssl.jobs.database import open_database
from ppgssl.jobs.tables import Checkpoint, Event


def damage(bench: Bench, job_id: str, steps: int) -> list[str]:
    """What is wrong with a fake job of so many steps that has ended; nothing is the aim."""
    return [*_of_history(bench, job_id, steps), *_of_files(bench, job_id), *of_database(bench)]


def of_database(bench: Bench) -> Iterator[str]:
    """What the database says of its own file."""
    engine = open_database(bench.settings.database)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
        if verdict != "ok":
            yield f"integrity_check: {verdict}"
    engine.dispose()


def events_of(bench: Bench, job_id: str) -> list[Event]:
    """All of a job's events, as a watcher gets them."""
    events, has_more = [], True
    while has_more:
        page = bench.store.events(job_id, after=len(events))
        events += page.items
        has_more = page.has_more
    return events


def _of_history(bench: Bench, job_id: str, steps: int) -> Iterator[str]:
    if bench.history(job_id) != undisturbed(steps):
        yield f"the loss history is {bench.history(job_id)}"
    events = events_of(bench, job_id)
    if [event.id for event in events] != list(range(1, len(events) + 1)):
        yield f"events are numbered {[event.id for event in events]}"
    if [event.is_terminal for event in events].index(True) != len(events) - 1:
        yield f"it ended more than once: {[event.data for event in events if event.is_terminal]}"
    told = [point["step"] for e in events if e.type == "losses" for point in e.data["points"]]
    if told != list(range(1, steps + 1)):
        yield f"watchers were told of the steps {told}"
    saved = list(_saved(events))
    if len(saved) != len(set(saved)):
        yield f"watchers were told of the checkpoints {saved}"
    lines = list(_own_lines(bench, job_id))
    if len(lines) != len(set(lines)):
        yield f"log lines are repeated: {lines}"


def _own_lines(bench: Bench, job_id: str) -> Iterator[tuple[int, str]]:
    """Attempt and text of what a fake run says; a traceback may well say the same twice."""
    for line in bench.store.log_lines(job_id).items:
        if line.text.startswith(("attempt ", "step ")):
            yield line.attempt, line.text


def _saved(events: list[Event]) -> Iterator[tuple[int, str, int]]:
    """Attempt, name and step of each checkpoint; another attempt may save a step once more."""
    attempt = 0
    for event in events:
        attempt = event.data.get("attempt", attempt)
        if event.type == "checkpoint":
            yield attempt, event.data["name"], event.data["step"]


def _of_files(bench: Bench, job_id: str) -> Iterator[str]:
    rows = bench.store.checkpoints(job_id)
    yield from (f"{row.folder} is not as listed" for row in rows if not is_as_listed(bench, row))
    named = {bench.settings.artifact_root / row.folder for row in rows}
    found = set(bench.settings.attempts_folder(job_id).glob("*/steps/*"))
    if found != named:
        yield f"checkpoints {found} are there instead of {named}"


def is_as_listed(bench: Bench, row: Checkpoint) -> bool:
    """Whether a checkpoint's files are those that its row tells of."""
    folder = bench.settings.artifact_root / row.folder
    listed = {file["name"]: file["sha256"] for file in row.files}
    return listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }
