"""Write the references that are made from the code: docs/reference/command-line.md and http.md."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import create_app
from ppgssl.jobs.settings import Settings

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
Json = dict[str, Any]


def command_line() -> str:
    """Every command with its options, as its own help says it."""
    command = [sys.executable, "-m", "typer", "ppgssl.cli.main", "utils", "docs"]
    options = ["--name", "ppgssl", "--title", "Command line"]
    return subprocess.run(
        [*command, *options], check=True, capture_output=True, text=True
    ).stdout.replace("[OPTIONS]", "\\[OPTIONS]")


def openapi() -> Json:
    """The schema that the service answers at /openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        return create_app(Settings(artifact_root=root, data_root=root)).openapi()


def http(schema: Json) -> str:
    """Routes by what they are about, then the bodies that they take and answer."""
    routes: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            about = operation.get("tags", ["other"])[0]
            routes.setdefault(about, []).append(_route(method, path, operation))
    bodies = [_body(name, body) for name, body in sorted(schema["components"]["schemas"].items())]
    parts = ["# HTTP", schema["info"].get("description", "")]
    for about, written in routes.items():
        parts += [f"## {about.capitalize()}", *written]
    return "\n\n".join([*parts, "## Bodies", *bodies]) + "\n"


def _route(method: str, path: str, operation: Json) -> str:
    parts = [f"### `{method.upper()} {path}`", operation.get("description", "")]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            f"| `{one['name']}` | {one['in']} | {_cell(_type(one['schema']))} "
            f"| {_cell(one.get('description', ''))} |"
            for one in parameters
        ]
        parts.append("\n".join(["| parameter | in | type | |", "|---|---|---|---|", *rows]))
    if taken := list(_content(operation.get("requestBody", {}))):
        parts.append(f"Takes {', or '.join(taken)}.")
    rows = [
        f"| {status} | {_cell(answer.get('description', ''))} "
        f"| {_cell(', '.join(_content(answer)))} |"
        for status, answer in operation["responses"].items()
    ]
    parts.append("\n".join(["| status | means | body |", "|---|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part)


def _content(holder: Json) -> Iterator[str]:
    for media_type, content in holder.get("content", {}).items():
        kind = _type(content.get("schema", {}))
        yield f"`{media_type}`" + (f": {kind}" if kind else "")


def _body(name: str, body: Json) -> str:
    needed = body.get("required", [])
    rows = [
        f"| `{field}` | {_cell(_type(of))} | {_cell(_default(of, field in needed))} "
        f"| {_cell(of.get('description', ''))} |"
        for field, of in body.get("properties", {}).items()
    ]
    table = ["| field | type | default | |", "|---|---|---|---|", *rows] if rows else []
    kind = _type(body) if not rows else ""
    parts = [f"### {name}", body.get("description", ""), kind, "\n".join(table)]
    return "\n\n".join(part for part in parts if part)


def _default(field: Json, needed: bool) -> str:
    if needed:
        return "required"
    return f"`{field['default']}`" if field.get("default") is not None else ""


def _type(schema: Json) -> str:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(_type(one) for one in schema[choice])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("format") or schema.get("type", ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    (REFERENCE / "command-line.md").write_text(command_line(), encoding="utf-8")
    (REFERENCE / "http.md").write_text(http(openapi()), encoding="utf-8")
