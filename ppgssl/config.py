"""The one typed tree that crosses every layer: YAML file, `--set`, a job's `config`, a checkpoint.

Validated once, here. Below this door nobody re-checks or re-defaults. It never looks at the
machine: whether a device exists is asked when a run starts (`ppgssl.training.devices`).

Units as suffix: `_seconds`, `_hz`, `_ratio` (no unit). Defaults are the reference run.
"""

import copy
import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ppgssl.errors import ConfigError

CONFIG_FOLDERS = (
    Path(__file__).parent / "presets",  # installed from a wheel
    Path(__file__).parent.parent / "configs",  # a checkout
)

USUAL_MICRO_BATCH = 8  # windows; the reference run

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen group of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """Which windows are read, and how."""

    window_seconds: float = Field(default=600.0, gt=0, description="Length of a window, seconds.")
    fs_hz: float = Field(default=125.0, gt=0, description="Sampling rate of the windows, Hz.")
    num_workers: int = Field(
        default=1, ge=0, le=64, description="Read-ahead threads; 0 reads in line."
    )
    load_in_memory: Literal["auto"] | bool = Field(
        default="auto",
        description="Read the whole dataset before the first step; 'auto' where windows have to be "
        "decoded and fit into half of the free memory.",
    )
    device_cache: Literal["auto"] | bool = Field(
        default="auto",
        description="Copy the training windows to the device after the first step, and read no "
        "more of them; 'auto' on CUDA, where they fit into half of the memory that is free beside "
        "a step, and another epoch follows.",
    )
    shuffle_buffer_mb: float = Field(
        default=256.0,
        gt=0,
        description="Windows are shuffled within this many megabytes at a time.",
    )

    @property
    def window_samples(self) -> int:
        """Samples in one window."""
        return round(self.window_seconds * self.fs_hz)


class ModelConfig(Section):
    """Shape of encoder and decoder."""

    in_channels: int = Field(default=1, ge=1, description="Channels of a window.")
    latent_dim: int = Field(default=512, ge=1, description="Width of the embedding.")
    bottleneck_dim: int = Field(
        default=768, ge=1, description="Hidden width of the projection MLPs."
    )
    num_blocks: int = Field(default=4, ge=1, le=8, description="Residual blocks, each of stride 2.")
    base_filters: int = Field(default=32, ge=1, description="Channels after the stem.")
    max_filters: int = Field(default=512, ge=1, description="Channels never exceed this.")
    spectral_path: bool = Field(
        default=True,
        description="Give every token the spectra of the seconds around it: 10 s of pulse, 32 s of "
        "baseline and amplitude, which breathing moves. false as the reference draws it.",
    )
    context_dilations: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(1, 4),
        description="Dilations of the layers that let a token see its surroundings, one layer per "
        "number. []: tokens see what the residual blocks see (187 samples with four blocks).",
    )
    head: Literal["none", "mlp"] = Field(
        default="none",
        description="'none': the pooled tokens are the embedding. 'mlp': a projection of them is, "
        "as the reference draws it.",
    )
    pooling: Literal["mean", "positional"] = Field(
        default="mean",
        description="How tokens become one vector: 'mean', or 'positional' (weighted by a learned "
        "code of the position).",
    )
    pose_channels: int = Field(
        default=3,
        ge=0,
        description="Numbers per token that tell the decoder where the beats are; no part of the "
        "embedding. 0 as the reference draws it: through mean pooling alone, reconstruction "
        "cannot learn.",
    )
    segment_seconds: float | None = Field(
        default=10.0,
        gt=0,
        description="One bottleneck vector per this many seconds; the window's embedding is their "
        "mean. null: one vector for the whole window.",
    )

    @property
    def stride(self) -> int:
        """Samples per token: the stem and every block halve the length."""
        return 2 ** (self.num_blocks + 1)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels after the stem and after each block."""
        return tuple(
            min(self.base_filters * 2**i, self.max_filters) for i in range(self.num_blocks + 1)
        )


class LossConfig(Section):
    """Weights of the reconstruction loss; they sum to 1."""

    mse_weight: float = Field(default=0.50, ge=0, le=1)
    ssim_weight: float = Field(default=0.30, ge=0, le=1)
    fft_weight: float = Field(default=0.20, ge=0, le=1)
    ssim_window_size: int = Field(default=11, ge=3, description="Gaussian window, samples; odd.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = self.mse_weight + self.ssim_weight + self.fft_weight
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(
                f"mse_weight + ssim_weight + fft_weight must be 1, got {total:g}; "
                f"divide each of them by {total:g}"
            )
        if self.ssim_window_size % 2 == 0:
            raise ValueError(
                f"ssim_window_size must be odd, got {self.ssim_window_size}; "
                f"use {self.ssim_window_size + 1}"
            )
        return self


class ObjectiveConfig(Section):
    """Weights of what is learnt beside each other; 0 leaves a term out."""

    reconstruction_weight: float = Field(
        default=1.0, ge=0, description="Of the reconstruction loss, which `loss` describes."
    )
    spectrum_weight: float = Field(
        default=0.3, ge=0, description="Predict the clean segment's log spectrum."
    )
    pulse_rate_weight: float = Field(
        default=1.0,
        ge=0,
        description="Predict the pulse rate that the clean window shows, moment by moment.",
    )
    breathing_weight: float = Field(
        default=2.0, ge=0, description="Predict the breathing rate that the clean window shows."
    )
    nearby_weight: float = Field(
        default=0.1, ge=0, description="Tell pieces of one window from those of others."
    )
    nearby_temperature: float = Field(default=0.1, gt=0)
    decorrelation_weight: float = Field(
        default=0.1, ge=0, description="Let the embedding's dimensions vary and differ."
    )


class AugmentationConfig(Section):
    """What is done to a training window. Geometry moves input and target, corruption the input."""

    piece_seconds: tuple[float, float] | None = Field(
        default=(10.0, 30.0),
        description="Half of the windows of a batch are cut into pieces, their length drawn from "
        "this range; pieces of one window are neighbours. null: no pieces.",
    )
    time_stretch: float = Field(
        default=1.4, ge=1, le=2, description="Largest change of speed, as a factor; 1: none."
    )
    time_stretch_prob: Probability = 0.5
    polarity_flip_prob: Probability = 0.5
    temporal_shift_range: float = Field(
        default=0.10,
        ge=0,
        le=0.5,
        description="Largest circular shift, share of the window; always applied.",
    )
    amplitude_scale_range: tuple[float, float] = Field(
        default=(0.85, 1.15), description="Smallest and largest gain; always applied."
    )
    breathing_prob: Probability = Field(
        default=0.5, description="Of imposing a breathing of known rate on a denoised window."
    )
    baseline_wander_freq: float = Field(
        default=0.04,
        gt=0,
        description="Centre frequency of the wander, Hz; at 0.2 it teaches to ignore breathing.",
    )
    baseline_wander_prob: Probability = 0.6
    drift_prob: Probability = Field(
        default=0.7, description="Of a slow drift without a rhythm, which is no breathing."
    )
    low_pass_prob: Probability = Field(
        default=0.3, description="Of losing what a slower sensor would not record."
    )
    motion_prob: Probability = Field(default=0.3, description="Of a burst of motion.")
    dropout_prob: Probability = Field(default=0.2, description="Of a stretch that is held.")
    noise_prob: Probability = 0.4
    noise_snr_ratio: float = Field(
        default=0.8,
        gt=0,
        description="SNR of the added noise as a share of the window's own SNR (in dB).",
    )
    noise_snr_db: tuple[float, float] | None = Field(
        default=(2.0, 25.0),
        description="SNR of the added noise, dB; null: noise_snr_ratio decides.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.amplitude_scale_range
        if not 0 < low <= high:
            raise ValueError(
                "amplitude_scale_range must be [low, high] with 0 < low <= high, "
                f"got [{low}, {high}]"
            )
        if (
            self.piece_seconds is not None
            and not 0 < self.piece_seconds[0] <= self.piece_seconds[1]
        ):
            raise ValueError(
                "piece_seconds must be [shortest, longest] with 0 < shortest <= longest, "
                f"got {list(self.piece_seconds)}"
            )
        if self.noise_snr_db is not None and self.noise_snr_db[0] > self.noise_snr_db[1]:
            raise ValueError(
                f"noise_snr_db must be [lowest, highest], got {list(self.noise_snr_db)}"
            )
        return self


class TrainingConfig(Section):
    """Optimisation: AdamW, half a cosine after a linear warm-up."""

    epochs: int = Field(default=50, ge=1, le=10_000)
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default=USUAL_MICRO_BATCH,
        description="Windows in one micro-batch. 'auto': as many as memory holds, with steps over "
        "8 x accumulation_steps windows whatever is found; batch norm sees a micro-batch at a "
        "time, so that losses depend on it.",
    )
    accumulation_steps: int = Field(default=4, ge=1, description="Micro-batches in one step.")
    checkpoint_activations: Literal["auto"] | bool = Field(
        default="auto",
        description="Compute a micro-batch's activations a second time in place of keeping them: "
        "less memory, slower, the same results; in float32 on a CPU. 'auto' where keeping them "
        "would take more than half of the free memory.",
    )
    compile: Literal["auto"] | bool = Field(
        default=False,
        description="Compile the layers for whole micro-batches (torch.compile): a minute or more "
        "at the start, the same losses to rounding. 'auto' on CUDA with Triton and a C compiler. "
        "Where it fails the run goes on without, and says so.",
    )
    devices: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="Processes of this host that train together, each on a CUDA device of its own, "
        "or on the CPU. They share a step's micro-batches, so there can be no more than "
        "accumulation_steps. 'auto' takes every CUDA device that `device` allows.",
    )
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_epochs: int = Field(default=2, ge=0)
    schedule: Literal["epoch", "step"] = Field(
        default="epoch",
        description="When the learning rate changes: after an epoch, as the reference does, or "
        "after every step, for runs of few epochs.",
    )
    max_grad_norm: float = Field(default=1.0, gt=0)
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="'auto' is fp16 autocast on CUDA and fp32 on a CPU."
    )
    early_stopping_patience: int = Field(
        default=10, ge=1, description="Epochs without a better val loss."
    )
    checkpoint_every_epochs: int = Field(
        default=10, ge=1, description="Keep epoch-N for every N-th epoch."
    )
    self_check: Literal["off", "warn", "fail"] = Field(
        default="off",
        description="Overfit one batch before the first step; where that fails, 'warn' or 'fail'. "
        "The service sets 'warn' where a job does not say otherwise.",
    )
    fail_on_collapse: bool = Field(
        default=False, description="Stop a run that collapses, after writing `last`."
    )
    trackers: Literal["auto"] | tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        default="auto",
        description="Who else is told the losses; 'auto' is TensorBoard where it is installed, [] "
        "nobody. One that fails is left out with a warning.",
    )

    @property
    def micro_batch(self) -> int:
        """Windows in one micro-batch, which is to be found before anybody asks."""
        assert self.batch_size != "auto"
        return self.batch_size

    @property
    def windows_per_step(self) -> int:
        """Windows that one optimiser step averages over: the effective batch."""
        size = USUAL_MICRO_BATCH if self.batch_size == "auto" else self.batch_size
        return size * self.accumulation_steps

    @field_validator("self_check", mode="before")
    @classmethod
    def _read_off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML reads a bare off as false


class Config(Section):
    """Everything that decides what a run computes."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda|cuda:\d+)$")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _check(self) -> Self:
        samples, stride = self.data.window_samples, self.model.stride
        if samples < 2 * stride:
            raise ValueError(
                f"a window of {samples} samples is too short for {self.model.num_blocks} blocks, "
                f"which turn {stride} samples into one token; use at least {2 * stride} samples "
                f"(data.window_seconds >= {2 * stride / self.data.fs_hz:g}) or fewer "
                "model.num_blocks"
            )
        if samples < self.loss.ssim_window_size:
            raise ValueError(
                f"loss.ssim_window_size ({self.loss.ssim_window_size}) exceeds the window "
                f"({samples} samples); use a smaller one"
            )
        if self.device == "cpu" and self.training.precision == "fp16":
            raise ValueError("training.precision 'fp16' needs CUDA; use 'fp32' or 'auto' on a CPU")
        return self

    def to_yaml(self) -> str:
        """The whole tree as YAML, in the order of the fields."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def preset_names() -> list[str]:
    """Stems of the files in `configs/`, sorted."""
    return sorted({path.stem for folder in CONFIG_FOLDERS for path in folder.glob("*.yaml")})


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, as the partial tree its file holds.

    Raises:
        ConfigError: No preset has this name.
    """
    for folder in CONFIG_FOLDERS:
        path = folder / f"{name}.yaml"
        if name in preset_names() and path.is_file():
            return read_yaml(path)
    raise ConfigError(
        f"preset: no preset is called {name!r}; there are {', '.join(preset_names())}"
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping.

    Raises:
        ConfigError: The file is missing, no YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(preset_names())
        raise ConfigError(
            f"config: cannot read {path} ({error.strerror}); give a YAML file or a preset: {known}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config: {path} is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"config: {path} must hold a mapping, got {type(content).__name__}")
    return content


def load_config(
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    base: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """Read a config from a preset's name or a YAML file, then apply `key.path=value` overrides.

    Args:
        source: A preset's name, a path, or None.
        overrides: Laid over the source.
        base: What the source is laid over in place of the defaults, such as `Dataset.settings`.

    Raises:
        ConfigError: The source cannot be read, or the result is no valid config.
    """
    if source is None:
        tree: dict[str, Any] = {}
    elif str(source) in preset_names():
        tree = preset(str(source))
    else:
        tree = read_yaml(Path(source))
    tree = merge(base, tree)
    for override in overrides:
        tree = merge(tree, parse_override(override))
    return build_config(tree)


def parse_override(text: str) -> dict[str, Any]:
    """Turn `training.epochs=3` into `{"training": {"epochs": 3}}`; the value is read as YAML.

    Raises:
        ConfigError: There is no `=`, no key, or the value is no YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set: expected key.path=value, got {text!r}")
    try:
        node: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value {value!r} is not valid YAML") from error
    for part in reversed(key.strip().split(".")):
        node = {part: node}
    return node


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid on top, mapping by mapping; neither is changed."""
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def build_config(tree: Mapping[str, Any]) -> Config:
    """Validate a partial tree over the defaults.

    Raises:
        ConfigError: Unknown keys or impossible values; the message has one line per key, with its
            path and the remedy.
    """
    try:
        return Config.model_validate(dict(tree))
    except ValidationError as error:
        lines = [
            _explain(
                tuple(str(part) for part in item["loc"]), item["type"], item["msg"], item["input"]
            )
            for item in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from error


def _explain(path: tuple[str, ...], kind: str, message: str, value: object) -> str:
    dotted = ".".join(path)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(dotted, known_keys(), n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(_siblings(path))}"
        return f"{dotted}: unknown key; {hint}"
    message = message.removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind == "value_error":
        return f"{dotted}: {message}" if dotted else message
    return f"{dotted}: {message}, got {value!r}"


def known_keys() -> list[str]:
    """Every key of the tree as a dotted path, in order."""
    keys: list[str] = []
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys += [f"{name}.{child}" for child in field.annotation.model_fields]
        else:
            keys.append(name)
    return keys


def _siblings(path: tuple[str, ...]) -> list[str]:
    parent = path[0] + "." if len(path) > 1 else ""
    siblings = [key.removeprefix(parent) for key in known_keys() if key.startswith(parent)]
    return list(dict.fromkeys(key.split(".")[0] for key in siblings))
