"""The encoders that were kept when a job was submitted; brings PyTorch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppgssl.inference.encoder import PpgEncoder, load_encoder
from ppgssl.training.devices import resolve_device
from worker.order import Order


def load_kept(order: Order, encoder: Mapping[str, Any]) -> PpgEncoder:
    """An encoder that was kept when the job was submitted.

    Raises:
        CheckpointError: It is gone or damaged.
        DeviceError: This machine does not have the device.
    """
    folder = Path(order.encoders) / encoder["sha256"]
    return load_encoder(folder, str(resolve_device(order.device)))
