"""Loss curves in characters, small enough to check by eye."""

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from ppgssl.cli.curve import HEIGHT, LossCurve, column_values, dots


def point(step: int, total: float | None, split: str = "train") -> dict:
    return {"step": step, "split": split, "values": {"total": total}}


def drawn(*points: dict, width: int = 40, **terminal: object) -> str:
    curve = LossCurve()
    curve.add(points)
    environ = {"TERM": "xterm"}
    console = Console(file=StringIO(), width=width, _environ=environ, **terminal)  # type: ignore[arg-type]
    console.print(curve)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_column_has_the_mean_of_its_points_and_a_line_leads_to_the_next():
    values = column_values({0: 1.0, 1: 3.0, 10: 6.0}, first=0, last=20, columns=5)

    np.testing.assert_allclose(values, [2.0, 4.0, 6.0, np.nan, np.nan])


def test_a_falling_line_goes_from_the_top_left_to_the_bottom_right():
    grid = dots(np.linspace(1.0, 0.0, 4 * HEIGHT), low=0.0, high=1.0)

    assert grid[0, 0]
    assert grid[-1, -1]
    assert not grid[-1, 0]
    assert grid.any(axis=0).all()


def test_a_jump_is_joined_and_a_gap_is_not():
    jump = dots(np.array([1.0, 0.0]), low=0.0, high=1.0)
    gap = dots(np.array([1.0, np.nan, 0.0]), low=0.0, high=1.0)

    assert jump[:, 1].all()
    assert gap.sum(axis=0).tolist() == [1, 0, 1]


def test_a_curve_that_does_not_move_is_one_row():
    grid = dots(np.array([2.0, 2.0]), low=2.0, high=2.0)

    assert grid.sum() == 2


def test_the_axes_name_both_ends_and_the_newest_values_of_both_splits():
    text = drawn(point(1, 8.0), point(2, 4.0), point(9, 2.0), point(9, 3.5, "val"), width=60)

    lines = text.splitlines()
    assert len(lines) == HEIGHT + 1
    assert lines[0].split()[0] == "8"
    assert lines[-2].split()[0] == "2"
    assert lines[-1].split() == ["step", "1", "train", "2", "val", "3.5", "step", "9"]


def test_nothing_is_drawn_before_there_are_two_points():
    assert drawn() == ""
    assert drawn(point(1, 8.0)) == ""


def test_a_point_without_a_number_is_left_out_and_a_later_try_replaces_its_step():
    text = drawn(point(1, 8.0), point(2, None), point(2, 5.0), point(2, 3.0))

    assert "train 3 " in text
    assert "5" not in text


@pytest.mark.parametrize("width", [12, 40, 200])
def test_no_line_is_wider_than_the_screen(width: int):
    text = drawn(point(1, 8.0), point(100, 4.0), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) == HEIGHT + 1


def test_colours_are_for_terminals_only():
    points = [point(1, 8.0), point(2, 4.0)]

    assert "\x1b[" in drawn(*points, force_terminal=True, color_system="standard")
    assert "\x1b[" not in drawn(*points)
