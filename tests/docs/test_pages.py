"""Every block of every page does what the page says."""

import shlex
from pathlib import Path

import click
import pytest
import typer
from page_runner import PageRunner, blocks, commands, language, says
from pages import PAGES

from ppgssl.cli.main import app

READ_ONLY = {
    "log.md": "what was once run, with the code as it was then",
    "security.md": "revokes an example of a key; tests/jobs/test_api_keys.py revokes real ones",
    "health.md": "trains two encoders at length; tests/training holds what its figures say",
}
COMMANDS = typer.main.get_command(app)


def shell_lines(page: Path) -> list[str]:
    """Every command of a page that a shell reads, one by one."""
    found: list[str] = []
    for block in blocks(page):
        if language(block) == "bash":
            found += str(block.parsed).replace("\\\n", " ").splitlines()
        if language(block) == "console":
            found += [c.replace("\\\n", " ") for c, _ in commands(str(block.parsed))]
    return [command for line in found for command in line.split(" && ")]


def unknown_options(line: str) -> list[str]:
    """Commands and options of `ppgssl` in a line of shell that it does not have."""
    words = shlex.split(line, comments=True)
    programs = [
        place
        for place, word in enumerate(words)
        if word.rpartition("/")[2] == "ppgssl" and words[place - 1] != "-u"
    ]
    if not programs:
        return []
    words = words[programs[0] + 1 :]
    command: click.Command = COMMANDS
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return [words[0]]
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {option for parameter in command.params for option in parameter.secondary_opts}
    known.add("--help")
    return [w for w in words if w.startswith("--") and w.partition("=")[0] not in known]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_command_and_no_option_that_there_is_not(name: str):
    wrong = {line: unknown_options(line) for line in shell_lines(PAGES[name]) if "ppgssl " in line}

    assert {line: what for line, what in wrong.items() if what} == {}


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_a_page_is_in_a_language_that_is_checked(name: str):
    fences = PAGES[name].read_text("utf-8").count("\n```") // 2

    assert len(blocks(PAGES[name])) == fences


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(set(PAGES) - set(READ_ONLY)))
def test_every_block_of_a_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    reader = PageRunner(folder)
    try:
        reader.set_up(name)
        for block in blocks(PAGES[name]):
            reader.run(block)
    finally:
        reader.end()


def test_an_output_may_differ_in_numbers_and_line_breaks_only():
    said = "made 12 windows\nof 3 people, 0.25 of\nthem noisy\n"

    assert says(said, "made 7 windows of 4 people,\n...\nnoisy")
    assert says(said, "made 7 windows of 4 people, 0.1 of them noisy")
    assert says(said, "made 7 windows\n...\nthem noisy")
    assert not says(said, "made 7 recordings")
    assert not says(said, "them noisy\n...\nmade 7 windows")
