"""What is shown of a job's events, on a terminal and elsewhere."""

from io import BytesIO, StringIO, TextIOWrapper
from typing import IO

from rich.console import Console

from ppgssl.cli.watching import JobScreen, where

PROGRESS = {
    "epoch": 2,
    "epochs": 4,
    "step": 10,
    "steps": 40,
    "fraction": 0.25,
    "eta_s": 3725.0,
    "windows_per_s": 81.25,
}
POINTS = [
    {"step": step, "epoch": 1, "split": split, "values": {"total": total}}
    for step, split, total in ((1, "train", 8.0), (2, "train", 4.0), (2, "val", 3.0))
]
EVENTS = [
    ("losses", {"points": POINTS}),
    ("progress", PROGRESS),
    ("warning", {"message": "the loss [sic] rises"}),
    ("status", {"status": "succeeded", "reason": None, "error": None}),
]


def terminal(file: IO[str]) -> Console:
    environ = {"TERM": "xterm"}
    return Console(file=file, width=80, force_terminal=True, highlight=False, _environ=environ)


def shown(console: Console) -> None:
    with JobScreen(console) as screen:
        for event in EVENTS:
            screen.show(*event)


def test_elsewhere_than_on_a_terminal_there_are_plain_lines():
    file = StringIO()

    shown(Console(file=file, width=80))

    assert file.getvalue().splitlines() == [
        "epoch   1  total 3.0000",
        "warning: the loss [sic] rises",
        "succeeded",
    ]


def test_on_a_terminal_the_curve_and_the_bar_stand_below_the_lines():
    file = StringIO()

    shown(terminal(file))

    last = file.getvalue()
    assert "\x1b[" in last
    assert "warning: the loss [sic] rises" in last
    assert "train 4" in last
    assert " 25%" in last
    assert "epoch 2/4  81.2 windows/s  1:02:05 left" in last


def test_a_terminal_without_unicode_gets_plain_lines():
    buffer = BytesIO()
    file = TextIOWrapper(buffer, encoding="ascii")

    shown(terminal(file))

    file.flush()
    assert buffer.getvalue().decode("ascii").splitlines()[-1] == "succeeded"


def test_a_stage_stands_where_there_are_no_epochs():
    progress = {**PROGRESS, "stage": "embedding", "epoch": None, "windows_per_s": None}

    assert where({**progress, "eta_s": None}) == "embedding"
