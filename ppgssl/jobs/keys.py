"""API keys: create, list, revoke, and which of them open the service now.

A key is 256 random bits, shown once; the table holds its sha256, so that whoever reads the database
or a backup of it cannot ask anything. Nothing here knows HTTP, or what a role opens.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from ppgssl.errors import ConfigError
from ppgssl.jobs.errors import ApiKeyNotFoundError
from ppgssl.jobs.roles import Role
from ppgssl.jobs.tables import ApiKey

KEY_BEGINS = "ppgssl_"  # so that scanners for secrets in code can know one
RANDOM_BYTES = 32
SHOWN_CHARACTERS = len(KEY_BEGINS) + 5  # 30 of 256 bits: enough to recognise, no help to guess
NAME_LENGTH = 120
USE_NOTED_EVERY = timedelta(minutes=5)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def sha256_of(key: str) -> str:
    """What is kept of a key, hex."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key's row, and the key itself: the only time that it is seen."""

    row: ApiKey
    key: str


class ApiKeys:
    """The keys of one database. Thread-safe; one method is one transaction.

    Args:
        engine: From `open_database`, migrated.
        clock: Now, in UTC.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._writer = engine
        self._reader = engine.execution_options(only_reads=True)
        self._clock = clock

    def create(self, name: str, role: Role) -> CreatedKey:
        """Make a key.

        Raises:
            ConfigError: The name is empty, too long or not one line of text.
        """
        if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
            raise ConfigError(
                f"name: {name!r} cannot name a key; give one line of 1 to {NAME_LENGTH} characters "
                "that says whose key it is"
            )
        key = KEY_BEGINS + secrets.token_urlsafe(RANDOM_BYTES)
        row = ApiKey(
            id=f"key_{secrets.token_hex(8)}",
            name=name,
            role=role,
            sha256=sha256_of(key),
            prefix=key[:SHOWN_CHARACTERS],
            created_at=self._clock(),
        )
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.add(row)
        return CreatedKey(row, key)

    def all(self) -> Sequence[ApiKey]:
        """Every key that there ever was, revoked ones too, oldest first."""
        with Session(self._reader) as session:
            return session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).all()

    def revoke(self, key_id: str) -> ApiKey:
        """Let a key open nothing from now on. Idempotent: the first time stays.

        Raises:
            ApiKeyNotFoundError: No key has this id.
        """
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            row = session.get(ApiKey, key_id)
            if row is None:
                raise ApiKeyNotFoundError(
                    f"no key has the id {key_id!r}; `ppgssl keys list` shows them"
                )
            row.revoked_at = row.revoked_at or self._clock()
            return row

    def note_use(self, key_id: str) -> None:
        """Write down that a key was used, at most once in some minutes."""
        now = self._clock()
        is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - USE_NOTED_EVERY)
        with Session(self._writer) as session, session.begin():
            session.execute(
                update(ApiKey).where(ApiKey.id == key_id, is_due).values(last_used_at=now)
            )
