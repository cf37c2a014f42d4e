"""The events of jobs, read once for all who watch the same job.

What follows an event never changes, so whoever has seen the same one waits for the same read: two
hundred dashboards ask the job table as often as one, and an event is put into JSON once. One feed
belongs to one event loop.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Event

POLL_SECONDS = 0.5  # a worker writes about as often
EVENTS_PER_PAGE = 100
KEPT_PAGES = 16  # for watchers a little behind the others; a page is seldom larger than 4 MB

Place = tuple[str, int]
"""A job's id and the number of the last event seen."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """What follows an event; empty where nothing ever will."""

    events: Sequence[ServerSentEvent]
    last: int
    """Number of the last of them."""
    is_end: bool
    """Nothing follows."""


class EventFeed:
    """Waits for events on behalf of any number of watchers; a waiting one costs no thread."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._reads: dict[Place, asyncio.Task[EventPage]] = {}
        self._waiting = Counter[Place]()

    async def page(self, job_id: str, after: int) -> EventPage:
        """What follows the event of this number, as soon as there is any.

        Raises:
            JobNotFoundError: No such job (any more).
        """
        place = job_id, after
        read = self._reads.get(place)
        if read is None:
            read = self._reads[place] = asyncio.create_task(self._read(job_id, after))
        self._waiting[place] += 1
        try:
            return await asyncio.shield(read)  # others wait for it when this one leaves
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]
                self._leave(place, read)

    def _leave(self, place: Place, read: asyncio.Task[EventPage]) -> None:
        """Nobody waits here any more: stop waiting, or keep the page for those who come late."""
        read.cancel()  # does nothing to one that is done
        if not read.done() or read.cancelled() or read.exception() is not None:
            del self._reads[place]
        unused = [place for place in self._reads if place not in self._waiting]
        for old in unused[:-KEPT_PAGES]:
            del self._reads[old]

    async def _read(self, job_id: str, after: int) -> EventPage:
        while True:
            is_finished = (await run_in_threadpool(self._store.get, job_id)).status.is_finished
            found = await run_in_threadpool(
                self._store.events, job_id, after=after, limit=EVENTS_PER_PAGE
            )
            if found.items:
                last = found.items[-1]
                return EventPage([sent(event) for event in found.items], last.id, last.is_terminal)
            if is_finished:
                return EventPage([], after, is_end=True)
            await asyncio.sleep(POLL_SECONDS)


def sent(event: Event) -> ServerSentEvent:
    """The event as it is sent, its data in JSON already."""
    return ServerSentEvent(
        raw_data=json.dumps(event.data), event=event.type.value, id=str(event.id)
    )
