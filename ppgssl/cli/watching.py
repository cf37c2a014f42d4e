"""What `ppgssl jobs watch` shows: a line per event, and on a terminal the curve of the losses."""

from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ppgssl.cli.curve import LossCurve

BAR_WIDTH = 30


class JobScreen:
    """Shows the events of a job; redraws only on a terminal that can."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._curve = LossCurve()
        self._progress: Mapping[str, Any] | None = None
        self._said = ""
        self._redraws = (
            console.is_terminal and not console.is_dumb_terminal and "utf" in console.encoding
        )
        self._live = Live(get_renderable=self._drawn, console=console) if self._redraws else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, event_type: str, data: Mapping[str, Any]) -> None:
        """Take in one event."""
        if event_type == "losses":
            self._curve.add(data["points"])
        if event_type == "progress":
            self._progress = data
        if event_type == "progress" and self._redraws:
            return  # the bar says it
        line = describe(event_type, data)
        if line and line != self._said:  # a stage takes many events to move on by a per cent
            self._console.print(line, markup=False)
            self._said = line

    def _drawn(self) -> RenderableType:
        return Group(self._curve, *([_bar(self._progress)] if self._progress else []))


def _bar(progress: Mapping[str, Any]) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=progress["fraction"], width=BAR_WIDTH)
    row.add_row(f"{progress['fraction']:4.0%}", bar, where(progress))
    return row


def where(progress: Mapping[str, Any]) -> str:
    """Stage or epoch, how fast, and how much longer."""
    parts = [progress.get("stage") or f"epoch {progress['epoch']}/{progress['epochs']}"]
    if progress.get("windows_per_s"):
        parts.append(f"{progress['windows_per_s']:.1f} windows/s")
    if progress.get("eta_s") is not None:
        minutes, seconds = divmod(round(progress["eta_s"]), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
    return "  ".join(parts)


def describe(event_type: str, data: Mapping[str, Any]) -> str:
    """An event in a line for people; empty where it would only be noise."""
    if event_type == "status":
        reason = data["reason"] or (data["error"] or {}).get("message")
        return f"{data['status']}{f': {reason}' if reason else ''}"
    if event_type == "warning":
        return f"warning: {data['message']}"
    if event_type == "checkpoint" and data["name"] == "best":
        return f"best checkpoint so far: epoch {data['epoch']}, step {data['step']}"
    if event_type == "progress" and data.get("stage"):
        return f"{data['fraction']:4.0%}  {data['stage']}"
    if event_type == "losses":
        return "\n".join(_epoch_line(p) for p in data["points"] if p["split"] == "val")
    return ""


def _epoch_line(point: Mapping[str, Any]) -> str:
    shown = ("total", "explained_variance", "effective_rank")
    values = {name: point["values"].get(name) for name in shown}
    figures = [f"{name} {value:.4f}" for name, value in values.items() if value is not None]
    return f"epoch {point['epoch']:3d}  {'  '.join(figures)}"
