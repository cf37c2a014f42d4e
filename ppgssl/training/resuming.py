"""What a resumed run may change, and what it may not. No checkpoint is read here."""

from pathlib import Path
from typing import Any

from ppgssl.config import Config
from ppgssl.errors import ConfigError

FREE_KEYS = frozenset(
    {
        "device",
        "data.num_workers",
        "data.load_in_memory",
        "data.device_cache",
        "training.epochs",
        "training.self_check",
        "training.fail_on_collapse",
        "training.trackers",
        "training.checkpoint_activations",
        "training.compile",
        "training.devices",
    }
)
"""What a resumed run may change: it decides no step's result."""

MICRO_BATCH_KEYS = frozenset({"training.batch_size", "training.accumulation_steps"})
"""What it may change together, as long as a step is over as many windows as before."""


def check_same_run(earlier: Config, config: Config, folder: Path) -> None:
    """Refuse to continue a run with settings that would make it another one.

    Args:
        earlier: Config of the checkpoint.
        config: Config of the run that is to continue it.
        folder: The checkpoint's, for the message.

    Raises:
        ConfigError: Settings differ that decide the result; the message has both values of each.
    """
    before, now = _flatten(earlier.model_dump()), _flatten(config.model_dump())
    free = FREE_KEYS
    if earlier.training.windows_per_step == config.training.windows_per_step:
        free |= MICRO_BATCH_KEYS
    changed = sorted(key for key in now if key not in free and now[key] != before.get(key))
    if changed:
        detail = ", ".join(f"{key}: {before.get(key)!r} → {now[key]!r}" for key in changed)
        raise ConfigError(
            f"the run of {folder} was started with other settings ({detail}); resume it with "
            "the same ones or start a new run in another folder"
        )


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
