"""How fast a job went and how loaded its device was, over its steps."""

from fastapi import APIRouter

from api.dependencies import JobIdDep, StoreDep
from api.paging import PageRead, page_of
from api.routes.jobs import NOT_FOUND
from api.schemas import PaceRead

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("/{job_id}/progress", responses=NOT_FOUND)
def read_progress(job_id: JobIdDep, store: StoreDep) -> PageRead[PaceRead]:
    """The whole run in stretches of equal length: about a second each, and longer in a long run."""
    stretches = [PaceRead.of(row) for row in store.pace(job_id)]
    return page_of(stretches, has_more=False, cursor=None)
