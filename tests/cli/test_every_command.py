"""What holds for each command: help with an example, and completion in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from ppgssl.cli.main import app
from ppgssl.cli.output import Rate


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += commands(command, (*path, name)) if inner else [(*path, name)]  # type: ignore[arg-type]
    return found


ALL = commands(typer.main.get_command(app))  # type: ignore[arg-type]


def completed(shell: str, typed: str) -> list[str]:
    """The words of what the program tells the shell."""
    environment = {
        "_PPGSSL_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("ppgssl")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return re.findall(r"[\w-]*\w", done.stdout)


def test_all_the_commands_that_are_promised_are_there():
    names = {" ".join(path) for path in ALL}

    assert names >= {"simulate", "prepare", "train", "evaluate", "embed", "export", "inspect"}
    assert names >= {"doctor", "search", "index", "api", "worker", "keys create", "jobs watch"}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_of_each_command_has_an_example_of_it(path: tuple[str, ...]):
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert re.search(rf"Example: .*ppgssl {' '.join(path)}\b", result.stdout)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_whose_result_is_data_can_print_json(path: tuple[str, ...]):
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})

    assert ("--json" in result.stdout) == (path not in {("api",), ("worker",)})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "whole"),
    [("ppgssl jobs wa", "watch"), ("ppgssl doc", "doctor"), ("ppgssl embed --enc", "--encoder")],
)
def test_commands_and_options_are_completed(shell: str, typed: str, whole: str):
    words = completed(shell, typed)

    assert whole in words
    assert "Usage" not in words


def test_a_rate_counts_what_came_after_the_first_count():
    times = iter([10.0, 10.0, 14.0])
    rate = Rate(lambda: next(times))

    first, second = rate.per_second(100), rate.per_second(108)

    assert (first, second) == (0.0, 2.0)
