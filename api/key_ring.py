"""Whose key a request carries, without a query per request.

The table is read again every other second: a new key works and a revoked one stops within that
time, and guesses cost no query. While the database is away nothing is known of its keys, and only
the environment's opens anything. Knows no route.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from ppgssl.errors import RunError
from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.keys import USE_NOTED_EVERY, ApiKeys, sha256_of
from ppgssl.jobs.roles import Role
from ppgssl.jobs.tables import ApiKey

log = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
ENVIRONMENT = "environment"


class KeysUnknownError(RunError):
    """Whether a key opens anything cannot be told now."""

    code = "database_unavailable"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks, and how much the key opens."""

    key_id: str
    role: Role


class KeyRing:
    """The keys of one service; for the tasks of one event loop.

    Args:
        keys: Those in the table.
        environment_key: That of `PPGSSL_API_KEY`, an administrator's, if it is set.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        keys: ApiKeys,
        environment_key: str | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._environment_sha256 = sha256_of(environment_key) if environment_key else None
        self._clock = clock
        self._rows: Sequence[ApiKey] | None = None
        self._read_again_at = -float("inf")
        self._reading = asyncio.Lock()
        self._use_due_at: dict[str, float] = {}

    async def find(self, given: str) -> Bearer | None:
        """Who holds this key; None where it opens nothing.

        Hashes are compared in constant time, and all of them: how long it takes says nothing.

        Raises:
            KeysUnknownError: The database is away, and it is not the environment's key.
        """
        sha256 = sha256_of(given)
        if self._environment_sha256 and hmac.compare_digest(self._environment_sha256, sha256):
            return Bearer(ENVIRONMENT, Role.ADMIN)
        found = None
        for row in await self._fresh_rows():
            if hmac.compare_digest(row.sha256, sha256) and row.revoked_at is None:
                found = Bearer(row.id, row.role)
        return found

    async def is_empty(self) -> bool:
        """There is no key, and never was: revoking the last one must not open the service.

        Raises:
            KeysUnknownError: The database is away.
        """
        return self._environment_sha256 is None and not await self._fresh_rows()

    async def note_use(self, bearer: Bearer) -> None:
        """Write down that a key was used, now and then; a failure is logged and no more."""
        now = self._clock()
        if bearer.key_id == ENVIRONMENT or now < self._use_due_at.get(bearer.key_id, now):
            return
        self._use_due_at[bearer.key_id] = now + USE_NOTED_EVERY.total_seconds()
        try:
            await run_in_threadpool(self._keys.note_use, bearer.key_id)
        except DATABASE_AWAY as error:
            log.warning("the use of key %s could not be written: %s", bearer.key_id, error)

    async def _fresh_rows(self) -> Sequence[ApiKey]:
        if self._is_stale():  # a lock that all ask for lets one pass per turn of the event loop
            async with self._reading:  # one reads, others wait for what it finds
                if self._is_stale():
                    self._rows = await self._read()
                    self._read_again_at = self._clock() + REFRESH_SECONDS
        if self._rows is None:
            raise KeysUnknownError("the database that holds the keys is away; try again")
        return self._rows

    def _is_stale(self) -> bool:
        return self._clock() >= self._read_again_at

    async def _read(self) -> Sequence[ApiKey] | None:
        try:
            return await run_in_threadpool(self._keys.all)
        except DATABASE_AWAY as error:
            log.error("the keys cannot be read: %s", error)
            return None
