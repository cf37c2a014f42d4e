"""One claimed job: start its child, write down what it tells, do what is asked, settle the end.

Everything it writes carries the lease. Once the lease is lost the child is killed and nothing more
is written: the job is another worker's.
"""

import errno
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from ppgssl.jobs.database import DATABASE_AWAY
from ppgssl.jobs.errors import JobNotFoundError, LeaseLostError
from ppgssl.jobs.kinds import JobKind
from ppgssl.jobs.records import Claim, JobError, Report
from ppgssl.jobs.settings import Settings
from ppgssl.jobs.status import Action, Reason
from ppgssl.jobs.store import JobStore
from ppgssl.jobs.tables import Job
from worker.attempt_files import AttemptFiles
from worker.heartbeat import Heartbeat
from worker.inbox import Inbox
from worker.kinds import STOPPED
from worker.memory import oom_kills
from worker.order import Order
from worker.process import ChildProcess
from worker.stop_request import StopRequest

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

OUT_OF_MEMORY: Mapping[str, str] = {
    JobKind.PRETRAIN: "lower training.batch_size",
    JobKind.EVALUATE: "take a dataset with fewer windows",
    JobKind.EMBED: "cut the longest recordings into several files, or lower config.window_seconds",
}
"""What helps a run of each kind, besides more memory."""


class Run:
    """A job from its claim to the end of its lease.

    Args:
        store: The job table.
        settings: Roots, intervals and graces.
        claim: The job and the lease on it.
        runner: `module:function` for the job's kind.
        stop: Set when the worker is told to stop.
        alive: Called while all is well, at least once per report.
    """

    def __init__(
        self,
        store: JobStore,
        settings: Settings,
        claim: Claim,
        *,
        runner: str,
        stop: StopRequest,
        alive: Callable[[], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._job = claim.job
        self._lease = claim.lease
        self._runner = runner
        self._stop = stop
        self._alive = alive
        self._files = AttemptFiles(store, settings, claim.lease)
        self._log = logging.LoggerAdapter(logger, claim.lease.log_context)
        self._inbox = Inbox(settings.artifact_root, claim.lease)
        self._unwritten = Report()
        self._last_line = claim.job.last_line
        self._stop_reason: str | None = None
        self._kill_at = float("inf")
        self._too_long = False
        self._heartbeat = Heartbeat(
            store,
            claim.lease,
            every_seconds=settings.heartbeat_seconds,
            lease_seconds=settings.lease_seconds,
        )

    def execute(self) -> None:
        """Do the job, or as much of it as is allowed."""
        self._log.info("claimed a job of the kind %s", self._job.kind)
        with self._heartbeat:
            try:
                job = self._insist(self._work())
            except (LeaseLostError, JobNotFoundError) as error:
                self._log.warning("%s: its run was ended and nothing more is written", error)
            else:
                self._log.info("the job is now %s", job.status)
        self._files.leave()

    def _work(self) -> Callable[[], Job]:
        """Run the child to its end; return the last write, which settles the job."""
        try:
            self._insist(self._files.create)
            kills_before = oom_kills()
            child = ChildProcess(self._order(), self._inbox)
        except OSError as error:
            self._log.exception("cannot start the run")
            reason = Reason.CHECKPOINT_WRITE_FAILED if is_full(error) else Reason.INTERNAL_ERROR
            failure = JobError(reason, f"the run could not be started: {error}")
            return lambda: self._store.fail(self._lease, failure)
        self._log.info("started process %d", child.pid)
        try:
            self._supervise(child)
        finally:
            child.kill()
        if not self._unwritten.is_empty:
            self._insist(self._report)  # it goes before what was told since
        self._insist(self._report)
        return self._settlement(child, out_of_memory=oom_kills() > kills_before)

    def _order(self) -> Order:
        # Absolute paths: the child need not share our working directory.
        last = self._insist(self._files.last_checkpoint)
        return Order(
            job_id=self._job.id,
            attempt=self._job.attempt,
            runner=self._runner,
            config=self._job.config,
            dataset=self._job.dataset,
            data_root=str(self._settings.data_root.resolve()),
            encoders=str(self._settings.kept_encoders.resolve()),
            out=str(self._files.folder),
            resume_from=None if last is None else str(last),
            device=self._settings.device,
            parent_pid=os.getpid(),
        )

    def _supervise(self, child: ChildProcess) -> None:
        began = time.monotonic()
        while child.exit_code is None:
            self._alive()
            self._check_lease()
            self._obey(child, self._try_report(), running_s=time.monotonic() - began)
            if time.monotonic() > self._kill_at:
                self._log.warning("the run did not stop in time and is killed")
                child.kill()
            child.wait(self._settings.report_seconds)

    def _obey(self, child: ChildProcess, action: Action | None, *, running_s: float) -> None:
        """Ask the child to stop where there is a reason to."""
        limit = self._job.max_runtime_s
        if action is Action.CANCEL:
            self._ask_to_stop(child, "cancelled", self._settings.cancel_grace_seconds)
        elif action is Action.PAUSE:
            self._ask_to_stop(child, "paused", self._settings.stop_grace_seconds)
        elif limit is not None and self._job.ran_s + running_s > limit:
            self._too_long = True
            self._ask_to_stop(child, "out of time", self._settings.stop_grace_seconds)
        elif self._stop.is_set():
            self._ask_to_stop(child, "worker told to stop", self._settings.stop_grace_seconds)

    def _ask_to_stop(self, child: ChildProcess, reason: str, grace_s: float) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + grace_s)
        if self._stop_reason is None:
            self._log.info("asking the run to stop: %s", reason)
            self._stop_reason = reason
            child.ask_to_stop()

    # ---------------------------------------------------------------------------------- writing

    def _report(self) -> Action | None:
        """Write what the child told; what cannot be written now is kept for the next time."""
        if self._unwritten.is_empty:
            self._unwritten = replace(self._inbox.take(), lines_before=self._last_line)
        report = self._unwritten
        action = self._store.record(self._lease, report)
        self._unwritten = Report()
        self._last_line += len(report.log_lines)
        if report.checkpoints:
            self._files.remove_replaced(report.checkpoints)
        return action

    def _try_report(self) -> Action | None:
        try:
            return self._report()
        except DATABASE_AWAY as error:
            self._log.warning("cannot write to the job table, will try again: %s", error)
            return None

    def _insist(self, write: Callable[[], Answer]) -> Answer:
        """Write again and again until the database takes it, or the lease is lost."""
        while True:
            try:
                return write()
            except DATABASE_AWAY as error:
                self._log.warning("cannot use the job table, will try again: %s", error)
            self._alive()
            self._check_lease()
            time.sleep(self._settings.report_seconds)

    def _check_lease(self) -> None:
        if self._heartbeat.lost:
            raise LeaseLostError(f"the lease on job {self._job.id} was lost")

    # ------------------------------------------------------------------------------- settlement

    def _settlement(self, child: ChildProcess, *, out_of_memory: bool) -> Callable[[], Job]:
        """What becomes of the job, now that its child has ended."""
        told, error = self._inbox.stop_reason, self._inbox.error
        if error is not None:
            failure = JobError(error.code, error.message)
        elif told is not None and told != STOPPED:
            return lambda: self._store.succeed(self._lease)
        elif self._too_long:
            limit = self._job.max_runtime_s
            failure = JobError(Reason.MAX_RUNTIME_EXCEEDED, f"it ran for longer than {limit:g} s")
        elif told == STOPPED or self._stop_reason is not None:
            reason = self._stop_reason or "the run was told to stop from outside"
            return lambda: self._store.hand_back(self._lease, reason)
        else:
            failure = self._death(child, out_of_memory=out_of_memory)
        self._log.error("the run ended badly (%s): %s", failure.code, failure.message)
        return lambda: self._store.fail(self._lease, failure)

    def _death(self, child: ChildProcess, *, out_of_memory: bool) -> JobError:
        """The error of a child that ended without a word."""
        how, was_sigkill = describe_exit(child.exit_code)
        tail = "\n".join(self._inbox.tail)
        said = f"; its last lines:\n{tail}" if tail else "; it wrote nothing"
        if was_sigkill and out_of_memory:
            remedy = OUT_OF_MEMORY.get(self._job.kind, "ask for less")
            return JobError(
                Reason.OUT_OF_MEMORY,
                f"its process was {how} because memory ran out: {remedy} or give the machine "
                f"more{said}",
            )
        return JobError(Reason.PROCESS_DIED, f"its process was {how}{said}")


def is_full(error: OSError) -> bool:
    """The disk, or our share of it: another attempt may find room."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def describe_exit(exit_code: int | None) -> tuple[str, bool]:
    """How a process ended, in words that follow "was", and whether it was by SIGKILL."""
    assert exit_code is not None
    if exit_code >= 0:
        return f"ended by itself with exit code {exit_code}", False
    killer = signal.Signals(-exit_code)
    return f"killed by {killer.name}", killer is signal.SIGKILL
