"""`make demo`: from simulated recordings to an embedding, through the real service.

Runs the commands and the HTTP calls that a user would run, shows them, and checks each result.
Stops what it started, also after Ctrl-C or a failure; with KEEP=1 the service of a demo that worked
stays up. Everything it writes lies under `demo/`, which it empties first.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx
import numpy as np
import numpy.typing as npt
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ppgssl.client import Client, Embeddings, Job, LossPoint
from ppgssl.data.dataset import open_dataset
from ppgssl.data.recordings import find_recordings
from ppgssl.errors import PpgsslError, ServiceError
from ppgssl.inference.encoder import load_encoder

ROOT = Path(__file__).parent.parent
DEMO = Path("demo")  # relative to ROOT, where the demo runs: paths are shown as a reader types them
RECORDINGS = DEMO / "recordings"
DATASET = DEMO / "data" / "simulated"
ARTIFACTS = DEMO / "artifacts"
ENCODER = DEMO / "encoder"
EMBEDDING = DEMO / "embedding.npy"
PICTURE = DEMO / "losses.png"
LOGS = DEMO / "logs"

SUBJECTS = 40
MINUTES = 10
FS_HZ = 125
PRESET = "small"
EPOCHS = 6
WINDOW_SECONDS = 10  # the preset's
LONG_WINDOW_SAMPLES = 600 * FS_HZ  # the encoder takes windows of any length: it pools over segments
EMBEDDING_DIM = 512

START_SECONDS = 60
STOP_SECONDS = 30
POLL_SECONDS = 0.5
LARGEST_DIFFERENCE = 0.01  # between two devices' embeddings of one window, relative to their norm
HARDLY_LEARNT = 0.05  # explained variance; 0 is a model that draws the mean
BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40

console = Console(highlight=False)

Samples = npt.NDArray[np.float32]


class DemoError(Exception):
    """A step did not do what it should have done."""


# ------------------------------------------------------------------------------------------ steps


@dataclass
class Step:
    """One line of the demo; `outcome` is what it says once it is done."""

    outcome: str = ""


@contextmanager
def step(title: str, shown: str = "", *, spinner: bool = True) -> Generator[Step]:
    """Show what is being done, then a tick with the outcome and the time it took, or a cross."""
    if shown:
        console.print(Text(f"  {shown}", style="dim"), soft_wrap=True)
    done, began = Step(), time.monotonic()
    waiting = console.status(f"{title} …")
    try:
        if spinner:
            waiting.start()
        yield done
    except BaseException:
        waiting.stop()
        console.print(f"[red]✗[/] [bold]{title}[/]")
        raise
    waiting.stop()
    console.print(_ticked(title, done.outcome, time.monotonic() - began))


def _ticked(title: str, outcome: str, seconds: float) -> Table:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=10)
    line.add_column(ratio=1)
    line.add_column(justify="right")
    line.add_row("[green]✓[/]", f"[bold]{title}[/]", outcome, f"[dim]{seconds:.1f} s[/]")
    return line


def run_command(arguments: Sequence[str]) -> None:
    """Run one `ppgssl` command, its output in a log file.

    Raises:
        DemoError: It failed; the message holds the end of what it said.
    """
    log = LOGS / f"{arguments[0]}.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "ppgssl", *arguments]
        ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if ended.returncode != 0:
        raise DemoError(f"ppgssl {arguments[0]} ended with {ended.returncode}:\n{tail(log)}")


def tail(log: Path, num_lines: int = 15) -> str:
    """The end of a log file, and where the rest is."""
    lines = log.read_text(errors="replace").splitlines()[-num_lines:]
    return "\n".join([*lines, f"(all of it: {log})"])


def simulate() -> None:
    """Make recordings whose heart rate, rhythm and noise are known."""
    arguments = ["simulate", "--out", str(RECORDINGS), "--subjects", str(SUBJECTS)]
    arguments += ["--minutes", str(MINUTES), "--fs", str(FS_HZ)]
    with step("Simulated", f"$ ppgssl {shlex.join(arguments)}") as done:
        run_command(arguments)
        done.outcome = f"{SUBJECTS} people, {MINUTES} minutes of PPG each"


def prepare() -> None:
    """Cut them into windows."""
    arguments = ["prepare", str(RECORDINGS), "--out", str(DATASET)]
    arguments += ["--window-seconds", str(WINDOW_SECONDS)]
    with step("Prepared", f"$ ppgssl {shlex.join(arguments)}") as done:
        run_command(arguments)
        counts = open_dataset(DATASET).counts
        if not all(counts.get(split) for split in ("train", "val", "test")):
            raise DemoError(f"a split without windows: {counts}")
        splits = ", ".join(f"{count:,} {split}" for split, count in counts.items())
        done.outcome = f"{WINDOW_SECONDS} s windows, split by person: {splits}"


# ---------------------------------------------------------------------------------------- service


class Service:
    """The API and a worker, in sessions of their own so that Ctrl-C reaches this script alone."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def pids(self) -> list[int]:
        """The processes' ids."""
        return [process.pid for process in self._processes.values()]

    def check_port(self) -> None:
        """Raise a DemoError if the port cannot be used."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except (OSError, OverflowError) as error:
                raise DemoError(
                    f"port {self.port} cannot be used: {error}\n"
                    "Choose another one, such as: PORT=8100 make demo"
                ) from error

    def start(self) -> None:
        """Start both and wait until the API answers.

        Raises:
            DemoError: A process ended, or there is no answer in time.
        """
        for name in ("api", "worker"):
            self._spawn(name)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"no answer from {self.url}\n{tail(LOGS / 'api.log')}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise a DemoError if one of the processes has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                said = tail(LOGS / f"{name}.log")
                raise DemoError(f"the {name} ended with {process.returncode}:\n{said}")

    def stop(self) -> None:
        """Ask both to stop; kill what does not. Ctrl-C no longer interrupts."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, name: str) -> None:
        own = {key: value for key, value in os.environ.items() if not key.startswith("PPGSSL_")}
        settings = {
            "PPGSSL_PORT": str(self.port),
            "PPGSSL_DATA_ROOT": str(DATASET.parent),
            "PPGSSL_ARTIFACT_ROOT": str(ARTIFACTS),
            "PPGSSL_LIVENESS_FILE": str(DEMO / "worker.alive"),
        }
        with (LOGS / f"{name}.log").open("w") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "ppgssl", name],
                env=own | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).is_success
        except httpx.TransportError:
            return False


def start(service: Service) -> None:
    """Start the service."""
    with step("Started", "$ ppgssl api & ppgssl worker &") as done:
        service.start()
        done.outcome = f"API and worker; dashboard: [link={service.url}/]{service.url}/[/link]"


# --------------------------------------------------------------------------------------- training


def submit(client: Client) -> Job:
    """Queue the pretraining job."""
    with step("Submitted", f"POST /v1/jobs  dataset={DATASET.name} preset={PRESET}") as done:
        config = {"training": {"epochs": EPOCHS}}
        job = client.submit(DATASET.name, preset=PRESET, config=config, name="demo")
        done.outcome = f"job {job.id}"
    return job


def train(client: Client, service: Service, job_id: str) -> list[LossPoint]:
    """Watch the job to its end and return its loss history.

    Raises:
        DemoError: It did not succeed, or a process of the service ended.
    """
    with step("Trained", f"GET /v1/jobs/{job_id}, /losses", spinner=False) as done:
        history = History(client, job_id)
        with TrainingView() as view:
            while not (job := client.get(job_id)).is_finished:
                service.check()
                view.show(job, history.read_on())
                time.sleep(POLL_SECONDS)
        if job.status != "succeeded" or job.progress is None or job.best is None:
            reason = f"{job.error.code}: {job.error.message}" if job.error else "no reason given"
            raise DemoError(f"the job {job.status}; {reason}")
        done.outcome = f"{job.progress.step:,} steps, best in epoch {job.best.epoch}"
    return history.read_on()


class History:
    """A job's loss points; each is asked for once."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self._job_id = job_id
        self._points: list[LossPoint] = []
        self._last_step = {"train": -1, "val": -1}

    def read_on(self) -> list[LossPoint]:
        """All points up to now."""
        for split, last in self._last_step.items():
            if new := self._client.losses(self._job_id, split=split, after_step=last):
                self._points += new
                self._last_step[split] = new[-1].step
        return self._points


def curve(points: Sequence[LossPoint], split: str, name: str) -> list[tuple[int, float]]:
    """(step, value) of one figure where it was finite."""
    values = ((point.step, point.values.get(name)) for point in points if point.split == split)
    return [(step, value) for step, value in values if value is not None]


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of bars, thinned to fit."""
    if not values:
        return ""
    places = np.linspace(0, len(values) - 1, min(len(values), SPARKLINE_WIDTH))
    thinned = np.interp(places, np.arange(len(values)), values)
    span = max(float(np.ptp(thinned)), 1e-9)
    heights = (thinned - thinned.min()) / span * (len(BARS) - 1)
    return "".join(BARS[round(height)] for height in heights)


class TrainingView:
    """A live picture of a run; a line per epoch where the output is no terminal."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("  epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(SPARKLINE_WIDTH),
            TextColumn("{task.percentage:3.0f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("", total=1.0, epoch=0, epochs=EPOCHS, rate="waiting")
        self._live = Live(console=console, transient=True, refresh_per_second=8)
        self._num_told = 0

    def __enter__(self) -> "TrainingView":
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, job: Job, points: Sequence[LossPoint]) -> None:
        """Draw how far the run is."""
        if job.progress is not None:
            rate = job.progress.windows_per_s
            self._bar.update(
                self._task,
                completed=job.progress.fraction,
                epoch=job.progress.epoch,
                epochs=job.progress.epochs,
                rate=f"{rate:.0f} windows/s" if rate else "",
            )
        if console.is_terminal:
            self._live.update(Group(self._bar, self._curves(points)))
        else:
            self._tell_epochs([point for point in points if point.split == "val"])

    def _curves(self, points: Sequence[LossPoint]) -> Table:
        curves = Table.grid(padding=(0, 2))
        for title, split, name, style, shown in (
            ("training loss", "train", "total", "yellow", ".3f"),
            ("validation loss", "val", "total", "yellow", ".3f"),
            ("explained variance", "val", "explained_variance", "cyan", ".1%"),
        ):
            values = [value for _, value in curve(points, split, name)]
            newest = format(values[-1], shown) if values else "…"
            drawn = f"{sparkline(values):{SPARKLINE_WIDTH}}"
            curves.add_row(f"  [dim]{title}[/]", f"[{style}]{drawn}[/]", newest)
        return curves

    def _tell_epochs(self, epochs: Sequence[LossPoint]) -> None:
        for point in epochs[self._num_told :]:
            loss, explained = point.values["total"], point.values["explained_variance"]
            console.print(
                f"  epoch {point.epoch}: loss {loss:.3f}, explained variance {explained:.1%}"
            )
        self._num_told = len(epochs)


# -------------------------------------------------------------------------------------- embedding


def download(client: Client, job_id: str) -> None:
    """Fetch the encoder; the client compares its sha256 with the one that the service lists."""
    with step("Downloaded", f"GET /v1/jobs/{job_id}/checkpoints/best/…") as done:
        paths = client.download(job_id, ENCODER)
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        done.outcome = f"encoder, {megabytes:.1f} MB, sha256 as listed"


def unseen_window() -> tuple[str, Samples]:
    """Ten minutes of a person from the test split, as recorded."""
    recording_id = open_dataset(DATASET).split("test").metadata()["recording_id"][0].as_py()
    refs = {ref.recording_id: ref for ref in find_recordings([RECORDINGS]).refs}
    window = refs[recording_id].load().signal[:LONG_WINDOW_SAMPLES]
    if len(window) != LONG_WINDOW_SAMPLES:
        raise DemoError(f"{recording_id} has {len(window)} of {LONG_WINDOW_SAMPLES} samples")
    return recording_id, window


def embed(client: Client, job_id: str) -> None:
    """Embed a ten-minute window by HTTP and with the downloaded encoder, and compare."""
    with step("Embedded", f"POST /v1/embeddings  model={job_id}") as done:
        person, window = unseen_window()
        remote = client.embed(window, fs_hz=FS_HZ, model=job_id)
        check_embedding(remote)
        local = load_encoder(ENCODER).embed(window[np.newaxis], fs_hz=FS_HZ)
        check_same(remote.embedding, local.embedding)
        np.save(EMBEDDING, remote.embedding[0])
        width = remote.embedding.shape[1]
        done.outcome = f"{len(window):,} samples of {person}: {width} numbers, same offline"


def check_embedding(answer: Embeddings) -> None:
    """Raise a DemoError unless it is one finite vector of the right width."""
    embedding = answer.embedding
    if embedding.shape != (1, EMBEDDING_DIM) or not np.isfinite(embedding).all():
        raise DemoError(f"expected {EMBEDDING_DIM} finite numbers, got shape {embedding.shape}")
    if not np.ptp(embedding):
        raise DemoError("all numbers of the embedding are equal")


def check_same(one: Samples, other: Samples) -> None:
    """Raise a DemoError unless two embeddings of one window agree."""
    difference = float(np.linalg.norm(one - other) / np.linalg.norm(other))
    if not difference < LARGEST_DIFFERENCE:
        raise DemoError(f"service and downloaded encoder differ by {difference:.1%} on one window")


# ----------------------------------------------------------------------------------------- report


def draw(points: Sequence[LossPoint]) -> None:
    """Save the loss curves as a picture."""
    with step("Drew", f"GET /v1/jobs/…/losses, {len(points):,} points") as done:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(*np.transpose(curve(points, "train", "total")), lw=0.6, label="training")
        left.plot(*np.transpose(curve(points, "val", "total")), "o-", ms=4, label="validation")
        left.set(xlabel="step", ylabel="loss", ylim=(0, None), title="Reconstruction loss")
        left.legend()
        explained = np.transpose(curve(points, "val", "explained_variance"))
        right.plot(explained[0], 100 * explained[1], "o-", ms=4, color="tab:green")
        right.axhline(0, color="grey", lw=0.8)
        right.set(
            xlabel="step", ylabel="%", ylim=(None, 100), title="Explained variance, unseen people"
        )
        right.set_xlim(0, None)
        figure.savefig(PICTURE, dpi=120)
        done.outcome = str(PICTURE)


def verdict(points: Sequence[LossPoint]) -> str:
    """What the run learnt, by its best epoch's figures on people it never saw."""
    best = min((point for point in points if point.split == "val"), key=_val_loss)
    explained = best.values["explained_variance"] or 0.0
    rank = best.values["effective_rank"] or 0.0
    found = (
        f"On people it did not train on, the decoder redraws [bold]{explained:.0%}[/] of the pulse "
        f"wave's variance (a flat line: 0%). The embeddings' effective rank is {rank:.0f} of "
        f"{EMBEDDING_DIM}."
    )
    if explained < HARDLY_LEARNT:
        return f"{found} [yellow]That is next to nothing: this run was too short to learn.[/]"
    return f"{found} A run this short is a start, not a result."


def _val_loss(point: LossPoint) -> float:
    loss = point.values["total"]
    return float("inf") if loss is None else loss


def report(points: Sequence[LossPoint], seconds: float) -> None:
    """Say what was learnt and where the files lie."""
    files = Table.grid(padding=(0, 2))
    for path, what in (
        (RECORDINGS, "PPG with known heart rate, rhythm and noise"),
        (DATASET, "the dataset: dataset.json, windows as Parquet"),
        (ENCODER, "the encoder: weights, and what it needs to run"),
        (EMBEDDING, f"{EMBEDDING_DIM} float32 numbers for ten minutes of PPG"),
        (PICTURE, "loss and explained variance"),
        (LOGS, "what every process wrote"),
    ):
        files.add_row(f"[cyan]{path}[/]", what)
    took = f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    console.print(Panel(Group(verdict(points), "", files), title=f"Done in {took}", expand=False))


def farewell(service: Service, *, keep: bool) -> None:
    """Say how the service goes on."""
    if keep:
        pids = " ".join(str(pid) for pid in service.pids)
        console.print(f"Dashboard: [bold]{service.url}/[/]   stop the service with: kill {pids}")
    else:
        console.print("[dim]The service is stopped; KEEP=1 make demo leaves it running.[/]")


# ------------------------------------------------------------------------------------------- main


def run(service: Service, *, keep: bool) -> None:
    """Every step in order; the service is stopped unless all worked and it is to be kept."""
    began = time.monotonic()
    service.check_port()  # first, so that a service that an earlier demo left on keeps its files
    shutil.rmtree(DEMO, ignore_errors=True)
    LOGS.mkdir(parents=True)
    simulate()
    prepare()
    worked = False
    try:
        start(service)
        with Client(service.url) as client:
            job = submit(client)
            points = train(client, service, job.id)
            download(client, job.id)
            embed(client, job.id)
        draw(points)
        worked = True
    except ServiceError:
        service.check()  # a process that ended says why; the client only that nobody answers
        raise
    finally:
        if not (worked and keep):
            service.stop()
    report(points, time.monotonic() - began)
    farewell(service, keep=keep)


def chosen_port() -> int:
    """PORT, or 8000.

    Raises:
        DemoError: It is no number.
    """
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal():
        raise DemoError(f"PORT must be a number, got {text!r}")
    return int(text)


def main() -> int:
    """Run the demo; 0 only if every step worked."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.chdir(ROOT)
    try:
        run(Service(chosen_port()), keep=bool(os.environ.get("KEEP")))
    except (DemoError, PpgsslError, httpx.HTTPError) as error:
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started is stopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
