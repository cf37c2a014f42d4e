"""The API's documentation in a browser: Swagger UI, drawn from /openapi.json.

The program comes along in `static/vendor`, so the page works offline and nobody else can change
what runs where the dashboard keeps a visitor's key.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>ppgssl: API</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">
  <script src="/static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>
  <script src="/static/docs.js" defer></script>
</head>
<body>
  <div id="swagger-ui"></div>
  <noscript>The routes are described in <a href="/openapi.json">/openapi.json</a>.</noscript>
</body>
</html>
"""


@router.get("/docs")
def show_docs() -> HTMLResponse:
    """The page."""
    return HTMLResponse(PAGE, headers=HEADERS)
