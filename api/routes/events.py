"""What happens to a job, as Server-Sent Events.

While a watcher waits it holds no database connection and no thread: the table is asked once for all
who watch a job, see `api.event_feed`.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import EventFeedDep, get_job
from api.routes.jobs import NOT_FOUND

router = APIRouter(prefix="/jobs", tags=["jobs"])

NUMBER_LIMIT = 2**31 - 1  # of the columns that hold it, on PostgreSQL

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
    job_id: str, feed: EventFeedDep, after: After = 0, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """Every event of the job from the beginning, or after the last one seen, to its end.

    Types: status, progress, losses, checkpoint, warning. The last one is the status that the job
    finished with.
    """
    number, is_end = last_event_id if last_event_id is not None else after, False
    while not is_end:
        page = await feed.page(job_id, number)
        number, is_end = page.last, page.is_end
        for event in page.events:
            yield event
