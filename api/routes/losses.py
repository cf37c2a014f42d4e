"""A job's loss history, as JSON or CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.dependencies import JobIdDep, StoreDep
from api.paging import PageRead
from api.routes.events import NUMBER_LIMIT
from api.routes.jobs import NOT_FOUND
from api.schemas import LossPointRead
from ppgssl.jobs.tables import Loss

router = APIRouter(prefix="/jobs", tags=["jobs"])

KEYS = ("step", "epoch", "split")
LINES_PER_CHUNK = 1000


@router.get(
    "/{job_id}/losses",
    responses=NOT_FOUND | {200: {"model": PageRead[LossPointRead], "content": {"text/csv": {}}}},
    response_class=Response,
)
def read_losses(
    job_id: JobIdDep,
    store: StoreDep,
    after_step: Annotated[int, Query(ge=-1, le=NUMBER_LIMIT, description="Only later steps.")] = -1,
    split: Annotated[Literal["train", "val"] | None, Query(description="Both by default.")] = None,
    max_points: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="Thin the curves to this many points, peaks kept."),
    ] = None,
    format: Annotated[Literal["json", "csv"], Query(description="How it is written.")] = "json",
) -> Response:
    """The loss history after a step, so that a dashboard asks only for news."""
    losses = store.losses(job_id, after_step=after_step, split=split, max_points=max_points)
    if format == "csv":
        return StreamingResponse(csv_lines(losses), media_type="text/csv")
    # a long history is many thousand points: JSON-safe already, and not validated once more
    return JSONResponse({"data": [flat(loss) for loss in losses], "has_more": False, "next": None})


def flat(loss: Loss) -> dict[str, Any]:
    """A point with its values beside its step."""
    return {"step": loss.step, "epoch": loss.epoch, "split": loss.split, **loss.values}


def csv_lines(losses: Sequence[Loss]) -> Iterator[str]:
    """The points with a column for every value that any of them has, in chunks."""
    names = list(dict.fromkeys(name for loss in losses for name in loss.values))
    for start in range(0, max(1, len(losses)), LINES_PER_CHUNK):
        text = io.StringIO()
        writer = csv.DictWriter(text, [*KEYS, *names])
        if start == 0:
            writer.writeheader()
        writer.writerows(flat(loss) for loss in losses[start : start + LINES_PER_CHUNK])
        yield text.getvalue()
