"""`ppgssl doctor`: can this machine run ppgssl, and what to do where it cannot."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ppgssl.cli.output import (
    EXIT_FAILURE,
    console_err,
    console_out,
    exit_codes,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from ppgssl.doctor.findings import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check packages, CUDA, memory, folders, disk, database and port; exit 1 on a problem.

    Looks at the service that PPGSSL_* variables describe, and changes nothing.

    Example: ppgssl doctor

    Example: PPGSSL_PORT=9000 ppgssl doctor --json
    """
    with exit_codes(), console_err.status("looking at this machine"):
        from ppgssl.doctor.examination import examine

        findings = list(examine())
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings, problems)
    if problems:
        raise typer.Exit(EXIT_FAILURE)


def _print(findings: "list[Finding]", problems: int) -> None:
    table = Table("check", "", box=None)
    for heading in ("found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        level = f"[{COLOURS[finding.level]}]{finding.level}[/]"
        table.add_row(finding.check, level, escape(finding.found), escape(finding.remedy))
    print_table(table)
    console_out.print(
        f"{problems} to mend before ppgssl can run here" if problems else "ppgssl can run here"
    )
