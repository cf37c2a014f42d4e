"""How our objects show themselves in a notebook: small tables, in the notebook's own style."""

from collections.abc import Mapping
from html import escape
from typing import Any


def facts_table(title: str, facts: Mapping[str, Any], *, share: float | None = None) -> str:
    """A table of what is known of something; None, and what is empty, is left out.

    Args:
        title: Above it.
        facts: Values by name.
        share: Draws a bar that is filled so far, 0 to 1.
    """
    known = {name: value for name, value in facts.items() if value not in (None, "", [], {}, ())}
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(_shown(value))}</td></tr>"
        for name, value in known.items()
    )
    bar = "" if share is None else f"<progress value='{share:.4f}' max='1'></progress>"
    return f"<table><caption><b>{escape(title)}</b> {bar}</caption>{rows}</table>"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    return str(value)
