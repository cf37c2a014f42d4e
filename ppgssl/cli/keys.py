"""`ppgssl keys ...`: who may use the service; works on the database itself, not over HTTP.

Whoever can open the database is its administrator, and the first key cannot be asked for with one.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ppgssl.cli.output import console_err, console_out, exit_codes, print_json, print_table
from ppgssl.errors import RunError
from ppgssl.jobs.roles import Role

if TYPE_CHECKING:
    from ppgssl.jobs.keys import ApiKeys
    from ppgssl.jobs.tables import ApiKey

NAME_WIDTH = 10  # characters that a name has on a narrow screen

app = typer.Typer(
    no_args_is_help=True,
    help="API keys of the service whose database PPGSSL_* variables name.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("create")
def create_command(
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    role: Annotated[
        Role,
        typer.Option(help="read: look and embed; submit: also run jobs; admin: everything."),
    ],
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: this once, since only its hash is kept.

    Example: ppgssl keys create --name dashboard --role read
    """
    with opened_keys() as keys:
        created = keys.create(name, role)
        if as_json:
            print_json({**shown(created.row), "key": created.key})
            return
        console_err.print(f"{created.row.id}, role {role}; keep the key, it is not shown again:")
        typer.echo(created.key)


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Show every key without what opens anything.

    Example: ppgssl keys list
    """
    with opened_keys() as keys:
        rows = [shown(row) for row in keys.all()]
        if as_json:
            print_json(rows)
            return
        print_table(_table(rows))


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None)
    table.add_column("id", no_wrap=True)
    table.add_column("name", min_width=NAME_WIDTH)
    for heading in ("role", "key", "created", "last used", "revoked"):
        table.add_column(heading)
    for row in rows:
        times = [row[at] for at in ("created_at", "last_used_at", "revoked_at")]
        table.add_row(
            *(row["id"], escape(row["name"]), row["role"], f"{row['prefix']}..."),
            *("" if time is None else f"{time:%Y-%m-%d}" for time in times),
        )
    return table


@app.command("revoke")
def revoke_command(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as listed.")],
    as_json: AsJson = False,
) -> None:
    """Let a key open nothing any more; a running service knows within seconds.

    Example: ppgssl keys revoke key_0123456789abcdef
    """
    with opened_keys() as keys:
        row = keys.revoke(key_id)
        if as_json:
            print_json(shown(row))
        else:
            console_out.print(f"{row.id} ({row.name}) is revoked", markup=False)


def shown(row: "ApiKey") -> dict[str, Any]:
    """A key as it is listed: neither the key nor its hash."""
    times: dict[str, datetime | None] = {
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role.value,
        "prefix": row.prefix,
        **times,
    }


@contextmanager
def opened_keys() -> Generator["ApiKeys"]:
    """The keys of the database that the environment names; errors become exit codes."""
    with exit_codes():
        from ppgssl.jobs.database import DATABASE_AWAY, migrate, open_database
        from ppgssl.jobs.keys import ApiKeys
        from ppgssl.jobs.settings import load_settings

        engine = open_database(load_settings().database)
        where = engine.url.render_as_string(hide_password=True)
        console_err.print(f"database {where}", markup=False, soft_wrap=True)
        try:
            migrate(engine)
            yield ApiKeys(engine)
        except DATABASE_AWAY as error:
            raise RunError(
                f"{where} cannot be reached: {str(error.orig).splitlines()[0]}"
            ) from error
        finally:
            engine.dispose()
