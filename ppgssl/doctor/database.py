"""Can the job table be reached, and is it one that this version knows? It is never changed here."""

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ppgssl.doctor.findings import Finding
from ppgssl.doctor.host import CanWrite, can_write, nearest_folder
from ppgssl.errors import ConfigError
from ppgssl.jobs.database import known_revisions, open_database, revision_of, sqlite_file

UNREACHABLE = "start the server, or correct PPGSSL_DATABASE_URL"


def check_database(url: str, may_write: CanWrite = can_write) -> Finding:
    """Look at the database without making or migrating anything."""
    try:
        where = make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return Finding.problem(
            "database",
            "PPGSSL_DATABASE_URL is no URL",
            "use sqlite:///FILE or postgresql://user:password@host/name",
        )
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        if may_write(nearest_folder(file.parent)):
            return Finding.ok("database", f"{where} is made when a service starts")
        return Finding.problem(
            "database",
            f"{where} is not there and cannot be made",
            f"let this user write to {file.parent}, or set PPGSSL_DATABASE_URL",
        )
    try:
        engine = open_database(url)
    except ConfigError as error:
        return Finding.problem("database", str(error), "pip install 'ppgssl[postgres]'")
    try:
        revision = revision_of(engine)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        return Finding.problem("database", f"{where} cannot be used: {reason}", UNREACHABLE)
    finally:
        engine.dispose()
    return judge_revision(where, revision)


def judge_revision(where: str, revision: str | None) -> Finding:
    """Whether this version can work with a database at a revision; None: it has no tables."""
    known = known_revisions()
    if revision is None:
        return Finding.ok("database", f"{where} is empty; a service makes its tables")
    if revision not in known:
        return Finding.problem(
            "database",
            f"{where} is at revision {revision}, newer than {known[-1]}, the newest that is known",
            "update ppgssl: pip install --upgrade ppgssl",
        )
    if revision != known[-1]:
        return Finding.warning(
            "database",
            f"{where} is at revision {revision} of {known[-1]}",
            "back it up; the next service that starts brings it up to date",
        )
    return Finding.ok("database", f"{where}, revision {revision}")
