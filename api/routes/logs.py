"""What a job's run wrote to its stdout and stderr."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from api.dependencies import JobIdDep, StoreDep
from api.event_feed import POLL_SECONDS
from api.paging import PageRead, page_of
from api.routes.events import NUMBER_LIMIT
from api.routes.jobs import NOT_FOUND
from api.schemas import LogLineRead
from ppgssl.jobs.store import JobStore

router = APIRouter(prefix="/jobs", tags=["jobs"])

NDJSON = "application/x-ndjson"


@router.get(
    "/{job_id}/logs",
    response_model=PageRead[LogLineRead],
    responses=NOT_FOUND | {200: {"content": {NDJSON: {}}}},
)
def read_logs(
    job_id: JobIdDep,
    store: StoreDep,
    after: Annotated[
        int, Query(ge=0, le=NUMBER_LIMIT, description="Number of the last line seen.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Largest number of lines.")] = 1000,
    tail: Annotated[
        int | None, Query(ge=1, le=10_000, description="Begin so many lines before the end.")
    ] = None,
    follow: Annotated[
        bool, Query(description="One line of JSON per log line, as they come, until the end.")
    ] = False,
) -> PageRead[LogLineRead] | Response:
    """The log, line by line."""
    job = store.get(job_id)
    if tail is not None:
        after = max(after, job.last_line - tail)
    if follow:
        return StreamingResponse(follow_lines(store, job_id, after), media_type=NDJSON)
    page = store.log_lines(job_id, after=after, limit=limit)
    lines = [LogLineRead.of(row) for row in page.items]
    cursor = str(lines[-1].line) if lines else None
    return page_of(lines, has_more=page.has_more, cursor=cursor)


async def follow_lines(store: JobStore, job_id: str, after: int) -> AsyncIterator[str]:
    """Lines as they come, one JSON object each; ends with the job."""
    while True:
        is_finished = (await run_in_threadpool(store.get, job_id)).status.is_finished
        page = await run_in_threadpool(store.log_lines, job_id, after=after)
        for row in page.items:
            after = row.line
            yield LogLineRead.of(row).model_dump_json() + "\n"
        if page.has_more:
            continue
        if is_finished:
            return
        await asyncio.sleep(POLL_SECONDS)
