"""One training run from the first step to the last checkpoint.

The order of a step: collect micro-batches, forward and backward, clip, apply, record. The order of
an epoch: steps, validation, health, schedule, checkpoint. Everything random is drawn from (seed,
epoch, micro-batch), so a run that was stopped and resumed computes what one that never stopped
would have. It knows no database, no HTTP and no terminal: it tells a `Reporter`.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ppgssl.config import Config
from ppgssl.data.dataset import Dataset
from ppgssl.data.split import WITHOUT
from ppgssl.errors import (
    CheckpointError,
    CollapsedError,
    ConfigError,
    DatasetError,
    SelfCheckError,
)
from ppgssl.models.autoencoder import build_autoencoder, count_flops, count_parameters
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.activations import keeps_activations, kept_bytes
from ppgssl.training.checkpoint import (
    read_config,
    read_model_and_state,
    serialise,
    write_checkpoint,
)
from ppgssl.training.collapse import (
    carries_position,
    find_collapse,
    find_weakness,
    is_past_grace,
)
from ppgssl.training.compiling import compile_layers, is_to_compile
from ppgssl.training.device_cache import free_memory
from ppgssl.training.device_load import device_load
from ppgssl.training.devices import (
    detect_environment,
    keep_freed_memory,
    peak_memory,
    resolve_device,
    resolve_precision,
)
from ppgssl.training.held_out import HeldOut
from ppgssl.training.history import History
from ppgssl.training.joining import Alone, Joining, Joint
from ppgssl.training.micro_batch_size import refuse_to_find, with_found_micro_batch
from ppgssl.training.micro_batches import Batch, StepBatches
from ppgssl.training.processes import ALONE, Processes
from ppgssl.training.progress import (
    Best,
    CheckpointSaved,
    LossPoint,
    Progress,
    Reporter,
    RunPlan,
    Silent,
)
from ppgssl.training.reconstructions import Reconstructions
from ppgssl.training.recorder import PendingStep, Recorder
from ppgssl.training.resuming import check_same_run
from ppgssl.training.schedule import learning_rate_factor
from ppgssl.training.self_check import self_check
from ppgssl.training.state import RunState
from ppgssl.training.step import train_step
from ppgssl.training.trackers.tracking import TrackedReporter
from ppgssl.training.validation import to_device, validate
from ppgssl.training.window_feed import WindowFeed
from ppgssl.views import Views, make_views, num_whole

logger = logging.getLogger(__name__)

INPUT_PREPROCESSING = {"standardise": "zero mean, unit standard deviation per window"}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended. `stop_reason`: completed, early_stopping or stopped (on request)."""

    stop_reason: str
    epoch: int
    step: int
    best: Best | None


def never() -> bool:
    """The `should_stop` of a run that nobody stops."""
    return False


def train(
    config: Config,
    dataset: Dataset,
    out: Path,
    *,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = never,
    resume: bool = False,
    resume_from: Path | None = None,
    keep_replaced: bool = False,
    processes: Processes = ALONE,
) -> TrainingResult:
    """Train on a dataset's train split, validate on its val split, leave checkpoints in `out`.

    Args:
        config: What to compute.
        dataset: Windows of the config's length and rate.
        out: Run folder; gets `best`, `last` and `epoch-N`.
        reporter: Told about losses, progress, checkpoints and warnings.
        should_stop: Asked after every step; once true, the run writes `last` and returns.
        resume: Continue from `last` in `out`, where there is one.
        resume_from: Checkpoint folder, perhaps of another run folder, to continue from where
            `out` holds no run yet.
        keep_replaced: Leave checkpoints that no name in `out` points at any more to somebody else.
        processes: Those that train together, each with the same arguments; the first one alone
            reports and writes.

    Raises:
        ConfigError: The config does not fit the dataset, or the checkpoint to resume.
        DatasetError: The dataset is damaged, or has no training windows.
        CheckpointError: `out` holds a run and `resume` is off, or its checkpoint is damaged.
        CheckpointWriteError: The disk is full; earlier checkpoints stand.
        DeviceError: The device or its precision is not to be had.
        SelfCheckError: One batch cannot be overfitted and `training.self_check` is `fail`.
        NonFiniteLossError: The loss became inf or nan.
        CollapsedError: The run learns nothing and `training.fail_on_collapse` is on; `last` stands.
        ProcessLostError: One of several processes died.
    """
    check_fit(config, dataset)
    if processes.count > 1:
        refuse_to_find(config)
    start = out / "last" if (out / "last").exists() else resume_from
    config = with_found_micro_batch(config, start)
    tracked = TrackedReporter(reporter or Silent())
    run = TrainingRun(
        config,
        dataset,
        out,
        tracked if processes.is_first else Silent(),
        should_stop,
        keep_replaced=keep_replaced,
        processes=processes,
    )
    if (out / "last").exists():
        if not resume:
            raise CheckpointError(
                f"{out} already holds a training run; resume it (--resume) or choose another folder"
            )
        resume_from = out / "last"
    if resume_from is not None:
        run.restore(resume_from)
    if not processes.is_first:
        return run.execute()
    with tracked.tracking(config, out, list(run.history)):
        return run.execute()


def check_fit(config: Config, dataset: Dataset) -> None:
    """Refuse a dataset whose windows are not those that the config trains on.

    Raises:
        ConfigError: Length, rate or channels differ.
        DatasetError: There are no training windows.
    """
    wanted = (config.data.window_samples, config.data.fs_hz)
    found = (dataset.window_samples, dataset.fs_hz)
    if wanted != found:
        raise ConfigError(
            f"data.window_seconds, data.fs_hz: the config trains on {wanted[0]} samples at "
            f"{wanted[1]:g} Hz, the dataset {dataset.name!r} has {found[0]} samples at "
            f"{found[1]:g} Hz; set data.window_seconds={found[0] / found[1]:g} and "
            f"data.fs_hz={found[1]:g}, or prepare the dataset anew"
        )
    if config.model.in_channels != 1:
        raise ConfigError(
            f"model.in_channels: datasets hold one channel, got {config.model.in_channels}; use 1"
        )
    if not dataset.counts.get("train"):
        raise DatasetError(f"dataset {dataset.name!r} has no training windows; prepare more data")


class TrainingRun:
    """Everything a run computes with, and the loop over its epochs."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        out: Path,
        reporter: Reporter,
        should_stop: Callable[[], bool],
        *,
        keep_replaced: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.out = out
        self.reporter = reporter
        self.should_stop = should_stop
        self.keep_replaced = keep_replaced
        self.processes = processes

        self.device = resolve_device(
            config.device, index=processes.local_rank if processes.count > 1 else None
        )
        self.amp_dtype = resolve_precision(config.training.precision, self.device)
        available = free_memory(torch.device("cpu"), sharing=processes.count)
        in_memory = config.data.load_in_memory
        if in_memory == "auto":
            in_memory = dataset.pays_to_hold(available)
        keep_activations = keeps_activations(config, available)
        if keep_activations:
            keep_freed_memory()
        self.train_windows = dataset.split("train", in_memory=in_memory)
        val_windows = dataset.split("val", in_memory=in_memory)
        self.feed = WindowFeed(
            self.train_windows,
            config,
            device=self.device,
            processes=processes,
            should_stop=should_stop,
            note=self._note,
        )
        self.has_val = len(val_windows) > 0
        self.val_windows = val_windows if self.has_val else self.train_windows
        self.held_out = HeldOut(
            self.val_windows,
            self.train_windows if self.has_val else None,
            fs_hz=dataset.fs_hz,
            buffer_mb=config.data.shuffle_buffer_mb,
            seed=config.seed,
        )

        torch.manual_seed(config.seed)
        self.model = build_autoencoder(config).to(self.device)
        self.objective = PretrainingObjective(
            self.model, config, keep_activations=keep_activations
        ).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.objective.parameters(),
            lr=config.training.learning_rate,
            weight_decay=config.training.weight_decay,
            fused=True,
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda turn: learning_rate_factor(
                turn,
                turns=config.training.epochs * self.turns_per_epoch,
                warmup_turns=config.training.warmup_epochs * self.turns_per_epoch,
            ),
        )
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.amp_dtype is torch.float16
        )

        self.joining: Joining = Alone()
        if processes.count > 1:
            self.joining = Joint(self.objective, self.objective.term_names, processes)

        self.state = RunState()
        self.history = History()
        self.recorder = Recorder(self.history, self.reporter)
        self.reconstructions = Reconstructions(dataset, "val" if self.has_val else "train", out)

    @property
    def _reconstructs(self) -> bool:
        return self.config.objective.reconstruction_weight > 0

    @property
    def _num_windows(self) -> dict[str, int]:
        return {"train": len(self.train_windows), "val": self.dataset.counts["val"]}

    @property
    def _devices(self) -> str:
        count = self.processes.count
        return str(self.device) if count == 1 else f"{count} x {self.device.type}"

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch; an unfinished last group counts as one."""
        training = self.config.training
        return -(-len(self.train_windows) // training.micro_batch // training.accumulation_steps)

    @property
    def turns_per_epoch(self) -> int:
        """How often the learning rate changes in one epoch."""
        return self.steps_per_epoch if self.config.training.schedule == "step" else 1

    def execute(self) -> TrainingResult:
        """Run epochs until the last one, early stopping, or a request to stop."""
        self._announce()
        self._compile()
        self._check_itself()
        self._end_if_collapsed()
        while (stop_reason := self.state.stop_reason(self.config.training)) is None:
            if not self._train_epoch():
                self._save(["last"])
                return self._result("stopped")
            self._finish_epoch()
            self._end_if_collapsed()
        return self._result(stop_reason)

    def restore(self, folder: Path) -> None:
        """Continue exactly where a checkpoint was written.

        Raises:
            CheckpointError: The checkpoint is damaged.
            ConfigError: It was trained with settings that decide the result and differ now.
        """
        earlier = read_config(folder)
        check_same_run(earlier, self.config, folder)
        state, history = read_model_and_state(folder, self.model)
        self.history.extend(list(history))
        self.objective.heads.load_state_dict(state["heads"])
        for group in state["optimizer"]["param_groups"]:
            group["fused"] = True  # which earlier runs were not
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"]["cpu"])
        if self.device.type == "cuda" and state["rng"]["cuda"] is not None:
            torch.cuda.set_rng_state(state["rng"]["cuda"], self.device)
        self.state = RunState.from_dict(state["run"])
        windows_done = self.state.batches_done * earlier.training.micro_batch
        self.state.batches_done = windows_done // self.config.training.micro_batch

    def _announce(self) -> None:
        if not self.processes.is_first:
            return
        logger.info("environment: %s", asdict(detect_environment()))
        self._log_cost()
        for warning in self.dataset.warnings:
            self._warn(warning)
        if not self.has_val:
            self._warn(WITHOUT["val"])
        for reason in self.held_out.missing:
            self._warn(reason)
        if not self.objective.keep_activations:
            self._tell_of_checkpointing()
        precision = str(self.amp_dtype).removeprefix("torch.")
        self.reporter.started(
            RunPlan(
                epochs=self.config.training.epochs,
                steps_per_epoch=self.steps_per_epoch,
                windows=self._num_windows,
                device=self._devices,
                precision=precision,
                parameters=count_parameters(self.model),
                resumed_from_step=self.state.step,
            )
        )

    def _compile(self) -> None:
        """Compile the layers where the config asks for it; all processes or none."""
        if not is_to_compile(self.config.training.compile, self.device):
            return
        samples, fs_hz = self.config.data.window_samples, self.config.data.fs_hz
        micro_batch = self.config.training.micro_batch
        count = num_whole(micro_batch, samples / fs_hz, self.config.augmentation)
        windows = torch.zeros(count, 1, samples, device=self.device)
        failure = compile_layers(self.objective, windows, amp_dtype=self.amp_dtype)
        if self.processes.any(failure is not None):
            self.objective.compiled = None
            self._warn(
                f"training.compile failed ({failure or 'on another process'}): the layers are "
                "computed as written, with the same losses, without the speed of compiled ones"
            )

    def _tell_of_checkpointing(self) -> None:
        if self.device.type == "cpu" and self.amp_dtype is torch.float32:
            megabytes = kept_bytes(self.config) / 1e6
            logger.info("activations are computed twice: keeping them takes %.0f MB", megabytes)
        elif self.config.training.checkpoint_activations is True:
            self._warn("training.checkpoint_activations saves memory in float32 on a CPU only")

    def _check_itself(self) -> None:
        """Overfit one batch first, unless the run has been under way before."""
        mode = self.config.training.self_check
        if mode == "off" or self.state.step or not self.processes.is_first:
            return
        if not self._reconstructs:
            logger.info("self-check left out: objective.reconstruction_weight is 0")
            return
        found = self_check(
            self.config, self.train_windows, device=self.device, should_stop=self.should_stop
        )
        if found is None or found.passed:
            logger.info("%s", "self-check: stopped" if found is None else found.message)
        elif mode == "fail":
            raise SelfCheckError(found.message)
        else:
            self._warn(found.message)

    def _log_cost(self) -> None:
        samples, channels = self.config.data.window_samples, self.config.model.in_channels
        window = torch.zeros(1, channels, samples, device=self.device)
        vector = torch.zeros(1, self.config.model.latent_dim, device=self.device)
        for name, part, inputs in (
            ("encoder", self.model.encoder, (window,)),
            ("decoder", self.model.decoder, (vector, samples)),
        ):
            logger.info(
                "%s: %.2f M parameters, %.2f GFLOP a window forward",
                name,
                count_parameters(part) / 1e6,
                count_flops(part, *inputs) / 1e9,
            )

    def _train_epoch(self) -> bool:
        """Train the rest of the epoch; False when it was stopped on request."""
        self.objective.train()
        self.recorder.restart_clock()
        for step in self.feed.steps(epoch=self.state.epoch, start_batch=self.state.batches_done):
            if self.processes.any(self.should_stop()):
                return False
            self._train_step(step)
            if self.recorder.is_due():
                self._record()
        self._record()
        return True

    def _train_step(self, step: StepBatches) -> None:
        result = train_step(
            self.objective,
            [views for number, batch in step.own for views in self._views(batch, number)],
            self.optimizer,
            self.scaler,
            amp_dtype=self.amp_dtype,
            max_grad_norm=self.config.training.max_grad_norm,
            num_windows=step.num_windows,
            joining=self.joining,
        )
        self.state.finish_step(step.count)
        self.recorder.add(
            PendingStep(
                step=self.state.step,
                epoch=self.state.epoch + 1,
                windows=step.num_windows,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                result=result,
            )
        )
        if self.config.training.schedule == "step":
            self.scheduler.step()

    def _record(self) -> None:
        """Fetch the newest losses from the device, and tell how far the run is."""
        windows_per_s = self.recorder.flush()
        if windows_per_s is None:
            return
        epochs = self.config.training.epochs
        done = self.state.batches_done * self.config.training.micro_batch
        left = max((epochs - self.state.epoch) * len(self.train_windows) - done, 0)
        load = device_load(self.device)
        self.reporter.progress(
            Progress(
                epoch=self.state.epoch + 1,
                epochs=epochs,
                step=self.state.step,
                steps=epochs * self.steps_per_epoch,
                windows_per_s=windows_per_s,
                eta_s=left / windows_per_s,
                learning_rate=self.optimizer.param_groups[0]["lr"],
                device_memory_bytes=load.memory_bytes,
                device_utilisation=load.utilisation,
            )
        )

    def _views(self, batch: Batch, index: int) -> list[Views]:
        windows, targets = to_device(batch, self.device)
        seed = np.random.SeedSequence([self.config.seed, self.state.epoch, index]).generate_state(1)
        generator = torch.Generator(self.device).manual_seed(int(seed[0]))
        return make_views(
            windows,
            targets,
            self.config.augmentation,
            fs_hz=self.dataset.fs_hz,
            generator=generator,
        )

    def _finish_epoch(self) -> None:
        values = validate(
            self.objective,
            self.val_windows,
            self.held_out,
            batch_size=self.config.training.micro_batch,
            buffer_mb=self.config.data.shuffle_buffer_mb,
            device=self.device,
            amp_dtype=self.amp_dtype,
            processes=self.processes,
        )
        if self.config.training.schedule == "epoch":
            self.scheduler.step()
        is_best = self.state.finish_epoch(values["total"])
        epoch = self.state.epoch
        self.recorder.tell([LossPoint(self.state.step, epoch, "val", values)])
        self._watch_health(values)
        self._reconstruct()

        names = ["last"]
        if is_best:
            names.append("best")
        if epoch % self.config.training.checkpoint_every_epochs == 0:
            names.append(f"epoch-{epoch}")
        self._save(names)
        logger.info("epoch %d done; peak memory: %s", epoch, peak_memory(self.device))

    def _reconstruct(self) -> None:
        """Put down what the model returns for a few windows; the run does without if it has to."""
        if not self._reconstructs or not self.processes.is_first:
            return
        try:
            self.reconstructions.save(
                self.state.epoch, self.model, device=self.device, amp_dtype=self.amp_dtype
            )
        except OSError as error:
            self._warn(f"the reconstructions of epoch {self.state.epoch} are not kept: {error}")

    def _watch_health(self, values: dict[str, float]) -> None:
        """Warn, once for each kind, about what the newest figures say."""
        training, state = self.config.training, self.state
        has_position = carries_position(self.config.model)
        past_grace = is_past_grace(
            epochs_at_full_rate=state.epoch - training.warmup_epochs,
            steps=state.step,
            carries_position=has_position,
        )
        collapse = find_collapse(
            values, carries_position=has_position, reconstructs=self._reconstructs
        )
        state.collapse = "\n".join(collapse.values()) if past_grace else ""
        if not past_grace and state.stop_reason(training) is None:
            return
        for kind, message in (collapse | find_weakness(values)).items():
            if kind not in state.warned:
                state.warned.append(kind)
                short = "" if past_grace else f" (after {state.step} steps only: train longer)"
                self._warn(f"epoch {state.epoch}: {message}{short}")

    def _end_if_collapsed(self) -> None:
        if self.state.collapse and self.config.training.fail_on_collapse:
            raise CollapsedError(
                f"{self.state.collapse}; training.fail_on_collapse ended the run after epoch "
                f"{self.state.epoch}, `last` is written"
            )

    def _warn(self, message: str) -> None:
        if not self.processes.is_first:
            return
        logger.warning("%s", message)
        self.reporter.warning(message)

    def _note(self, message: str) -> None:
        """Say what was done that is no training, and do not count its time as such."""
        self.recorder.restart_clock()
        if self.processes.is_first:
            logger.info("%s", message)
            self.reporter.note(message)

    def _save(self, names: list[str]) -> None:
        self._record()
        if not self.processes.is_first:
            return
        files = serialise(
            self.model,
            self.config,
            self.history,
            self._resume_state(),
            preprocessing=self.dataset.preprocessing | INPUT_PREPROCESSING,
            training=self._summary(),
        )
        write_checkpoint(self.out, self.state.step, files, names, keep_replaced=self.keep_replaced)
        for name in names:
            self.reporter.checkpoint(
                CheckpointSaved(name, self.state.step, self.state.epoch, self.state.val_loss)
            )

    def _resume_state(self) -> dict[str, Any]:
        on_cuda = self.device.type == "cuda"
        return {
            "heads": self.objective.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": {
                "cpu": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state(self.device) if on_cuda else None,
            },
            "run": self.state.to_dict(),
        }

    def _summary(self) -> dict[str, Any]:
        state = self.state
        return {
            "dataset": self.dataset.name,
            "windows": self._num_windows,
            "seed": self.config.seed,
            "epoch": state.epoch,
            "step": state.step,
            "val_loss": state.val_loss,
            "best": asdict(state.best) if state.best else None,
        }

    def _result(self, stop_reason: str) -> TrainingResult:
        return TrainingResult(stop_reason, self.state.epoch, self.state.step, self.state.best)
