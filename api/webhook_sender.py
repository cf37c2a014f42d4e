"""The thread that sends what webhooks are to be told, as long as the API runs.

It takes what is due from the database and knows nothing between two rounds: it may be killed at
any time, and any number of them may run.
"""

import asyncio
import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from api.webhook_post import TIMEOUT_S, Postman
from ppgssl.jobs.deliveries import Deliveries, Outcome, Try

log = logging.getLogger(__name__)

AT_ONCE = 8
LEASE = timedelta(seconds=4 * TIMEOUT_S)  # a try, and the time to write how it went
POLL_S = 1.0
AWAY_S = 10.0
FORGET_EVERY_S = 3600.0
STOP_S = 3.0


class WebhookSender:
    """Sends due deliveries from entry to exit; a try under way then is repeated by the next one.

    Args:
        deliveries: Those of the database.
        postman: Sends one.
        poll_s: An idle sender looks for something due this often, seconds.
    """

    def __init__(self, deliveries: Deliveries, postman: Postman, *, poll_s: float = POLL_S) -> None:
        self._deliveries = deliveries
        self._postman = postman
        self._poll_s = poll_s
        self._forget_at = 0.0
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._send_for_ever())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            log.debug("stopped")
        finally:
            self._loop.close()

    async def _send_for_ever(self) -> None:
        while True:
            try:
                sent = await self.send_due()
                self._forget_now_and_then()
            except SQLAlchemyError as error:
                log.warning("webhooks wait: the database cannot be asked for them: %s", error)
                await asyncio.sleep(AWAY_S)
            else:
                await asyncio.sleep(0 if sent else self._poll_s)

    async def send_due(self) -> int:
        """Send some of what is due, side by side; how many there were."""
        tries = self._deliveries.claim_due(AT_ONCE, LEASE)
        outcomes = await asyncio.gather(*(self._send(tried) for tried in tries))
        for tried, outcome in zip(tries, outcomes, strict=True):
            self._deliveries.settle(tried, outcome)
        return len(tries)

    async def _send(self, tried: Try) -> Outcome:
        try:
            outcome = await self._postman.post(tried)
        except Exception:  # of our own making; it must not keep the others from being sent
            log.exception("delivery %s could not be tried", tried.id)
            return Outcome(error="internal error; the log of the service says more")
        if not outcome.is_delivered:
            log.info(
                "delivery %s, try %d: %s",
                tried.id,
                tried.number,
                outcome.error or outcome.status_code,
            )
        return outcome

    def _forget_now_and_then(self) -> None:
        if time.monotonic() >= self._forget_at:
            self._deliveries.forget_ended()
            self._forget_at = time.monotonic() + FORGET_EVERY_S
