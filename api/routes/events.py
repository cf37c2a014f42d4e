"""What happens to a job, as Server-Sent Events.

While a watcher waits it holds no database connection and no thread: the table is asked again after
a pause, in a thread that is given back at once.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import StoreDep, get_job
from api.routes.jobs import NOT_FOUND
from ppgssl.jobs.store import JobStore

router = APIRouter(prefix="/jobs", tags=["jobs"])

POLL_SECONDS = 0.5  # a worker writes about as often
NUMBER_LIMIT = 2**63 - 1  # of a database's integers

After = Annotated[int, Query(ge=0, le=NUMBER_LIMIT, description="Number of the last event seen.")]
LastEventId = Annotated[
    int | None,
    Header(ge=0, le=NUMBER_LIMIT, description="The same, as a browser sends it; goes first."),
]


# A job that does not exist is refused by `get_job` before the stream begins.
@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=NOT_FOUND,
    dependencies=[Depends(get_job)],
)
async def stream_events(
    job_id: str, store: StoreDep, after: After = 0, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """Every event of the job from the beginning, or after the last one seen, to its end.

    Types: status, progress, losses, checkpoint, warning. The last one is the status that the job
    finished with.
    """
    async for event in follow(store, job_id, last_event_id if last_event_id is not None else after):
        yield event


async def follow(store: JobStore, job_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    """Events as they come; ends after the terminal one, at once where it was seen already."""
    while True:
        is_finished = (await run_in_threadpool(store.get, job_id)).status.is_finished
        page = await run_in_threadpool(store.events, job_id, after=after)
        for event in page.items:
            after = event.id
            yield ServerSentEvent(data=event.data, event=event.type.value, id=str(event.id))
            if event.is_terminal:
                return
        if page.has_more:
            continue
        if is_finished:
            return
        await asyncio.sleep(POLL_SECONDS)
