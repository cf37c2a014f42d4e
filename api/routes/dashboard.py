"""The dashboard: one page of plain files, which asks the API for everything it shows."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent.parent / "static"
STATIC_FILES = StaticFiles(directory=STATIC)

HEADERS = {
    # Nothing from elsewhere, nothing inline: text from a job can never become a script.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # a new version of the service is a new dashboard
}


@router.get("/")
def show_dashboard() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers=HEADERS)
