"""The API's documentation in a browser: Swagger UI, drawn from /openapi.json.

The program comes from a CDN, in one version and checked by its hash: it runs where the dashboard
keeps a visitor's key, so a changed copy must not run at all.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

SWAGGER = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.32.6/"
# `openssl dgst -sha384 -binary FILE | base64`, of the files in the npm package of this version.
SCRIPT_HASH = "sha384-EYdOaiRwn44zNjrw+Tfs06qYz9BGQVo2f4/pLY5i7VorbjnZNhdplAbTBk8FXHUJ"
STYLE_HASH = "sha384-9Q2fpS+xeS4ffJy6CagnwoUl+4ldAYhOs9pgZuEKxypVModhmZFzeMlvVsAjf7uT"

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; script-src 'self' {SWAGGER}; "
    f"style-src 'unsafe-inline' {SWAGGER}; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
PAGE = f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>ppgssl: API</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="{SWAGGER}swagger-ui.css" integrity="{STYLE_HASH}" crossorigin>
  <script src="{SWAGGER}swagger-ui-bundle.js" integrity="{SCRIPT_HASH}" crossorigin defer></script>
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
