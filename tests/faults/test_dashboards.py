"""Dashboards watch a run that tells a thousand losses a second: none misses one, none slows it."""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from damage import events_of, of_database
from worker_bench import Bench, quick_settings, working

from ppgssl.jobs.records import LossPoint, NewJob, Report
from ppgssl.jobs.settings import Settings

HERE = Path(__file__).parent
PATIENCE_S = 60
PERIOD_S = 10
PAIRS = 8
MILLION = 1_000_000

Seen = dict[str, int | bool]
Steps = tuple[int, int]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Reports as often as by default, and a port for the API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return quick_settings(tmp_path, database_url).model_copy(
        update={"port": port, "report_seconds": 0.5, "rate_limit_per_minute": 0}
    )


@pytest.fixture
def bench(settings: Settings) -> Iterator[Bench]:
    """A worker for steady runs, and an API."""
    with working(settings) as bench:
        bench.start_worker([sys.executable, str(HERE / "serve_steady_runs.py")])
        bench.start_worker([sys.executable, "-m", "api"])
        wait_for_answer(f"http://127.0.0.1:{settings.port}/healthz")
        yield bench


def wait_for_answer(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.1)


class Dashboards:
    """So many of them in a process of their own; `seen` once they were left."""

    def __init__(self, bench: Bench, job_id: str, *, after: int, count: int) -> None:
        arguments = [str(bench.settings.port), job_id, str(after), str(count)]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "dashboards.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> list[Seen]:
        """What each of them has seen, once the job has ended."""
        assert self._process.stdout is not None
        seen = json.loads(self._process.stdout.readline())
        self._process.communicate("\n")
        return seen

    def close(self) -> list[Seen]:
        """Close all of them; what each has seen."""
        return json.loads(self._process.communicate("\n")[0])


def start_run(bench: Bench, *, seconds: float) -> str:
    job_id = bench.store.create(NewJob("steady", {"seconds": seconds})).id
    bench.wait_for_step(job_id, 1)
    return job_id


def wait_for_end(bench: Bench, job_id: str, *, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not bench.store.get(job_id).status.is_finished:
        assert time.monotonic() < deadline, bench.worker_logs()[-2000:]
        time.sleep(0.5)


@contextmanager
def steps_of(bench: Bench, job_id: str, periods: list[Steps]) -> Iterator[None]:
    """Note between which steps of the run something was going on."""
    first = step_of(bench, job_id)
    yield
    periods.append((first, step_of(bench, job_id)))


def step_of(bench: Bench, job_id: str) -> int:
    progress = bench.store.get(job_id).progress
    assert progress is not None
    return progress["step"]


def test_twenty_dashboards_see_every_event_of_a_quick_run(bench: Bench):
    job_id = start_run(bench, seconds=3)

    seen = Dashboards(bench, job_id, after=0, count=20).wait()
    bench.stop_workers()

    last = events_of(bench, job_id)[-1]
    assert bench.store.get(job_id).status == "succeeded"
    assert seen == [{"first": 1, "last": last.id, "is_whole": True}] * 20
    assert "locked" not in bench.worker_logs()
    assert list(of_database(bench)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_dashboards_miss_nothing_and_do_not_slow_the_run(bench: Bench, record_property):
    job_id = start_run(bench, seconds=2 * PAIRS * (PERIOD_S + 4) + 30)
    alone: list[Steps] = []
    watched: list[Steps] = []
    seen: list[Seen] = []

    for _ in range(PAIRS):
        with steps_of(bench, job_id, alone):
            time.sleep(PERIOD_S)
        after = bench.store.get(job_id).last_event
        dashboards = Dashboards(bench, job_id, after=after, count=200)
        time.sleep(2)  # they connect
        with steps_of(bench, job_id, watched):
            time.sleep(PERIOD_S)
        seen += dashboards.close()
    after = bench.store.get(job_id).last_event
    last_seen = Dashboards(bench, job_id, after=after, count=200).wait()
    wait_for_end(bench, job_id, patience_s=300)
    bench.stop_workers()

    end = events_of(bench, job_id)[-1].id
    record_property("points a second", points_per_s(bench, job_id))
    for measure in ("wall_s", "cpu_s"):
        lost = slowdown(bench, job_id, alone, watched, measure)
        record_property(f"rounds lost to 200 dashboards, % of {measure}", lost)
    assert all(one["is_whole"] and one["last"] > one["first"] for one in seen)
    assert last_seen == [{"first": after + 1, "last": end, "is_whole": True}] * 200
    assert "locked" not in bench.worker_logs()
    assert list(of_database(bench)) == []


def points_per_s(bench: Bench, job_id: str) -> int:
    points = bench.store.losses(job_id)
    took_s = points[-1].values["wall_s"] - points[0].values["wall_s"]
    return round(len(points) / took_s)


def slowdown(
    bench: Bench, job_id: str, alone: Sequence[Steps], watched: Sequence[Steps], measure: str
) -> dict[str, float]:
    """By how much slower the run was while it was watched, pair by pair: middle and quartiles."""
    values = {point.step: point.values for point in bench.store.losses(job_id)}

    def rate(steps: Steps) -> float:
        first, last = (values[step] for step in steps)
        return (last["rounds"] - first["rounds"]) / (last[measure] - first[measure])

    losses = [
        1 - rate(with_) / rate(without) for without, with_ in zip(alone, watched, strict=True)
    ]
    low, middle, high = statistics.quantiles(losses, n=4)
    return {
        "median": round(100 * middle, 1),
        "from": round(100 * low, 1),
        "to": round(100 * high, 1),
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_dashboard_draws_a_run_of_a_million_losses(bench: Bench, record_property):
    job_id = bench.store.create(NewJob("fake", {})).id
    claim = bench.store.claim("worker", ["fake"], timedelta(hours=1))
    assert claim is not None
    for first in range(1, MILLION, 10_000):
        points = [
            LossPoint(step, 1, "train", dict.fromkeys(("total", "mse", "ssim", "fft"), 1 / step))
            for step in range(first, first + 10_000)
        ]
        bench.store.record(claim.lease, Report(points=points))

    url = f"http://127.0.0.1:{bench.settings.port}/v1/jobs/{job_id}/losses?max_points=1000"
    took_ms, steps = [], []
    for _ in range(20):
        began = time.perf_counter()
        steps = [point["step"] for point in httpx.get(url).json()["data"]]
        took_ms.append(1000 * (time.perf_counter() - began))

    record_property("milliseconds for 1,000 of a million points", round(statistics.median(took_ms)))
    assert len(steps) <= 1000
    assert (steps[0], steps[-1]) == (1, MILLION)
