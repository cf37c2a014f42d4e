"""Keeping activations or computing them again: the need, the choice, the result."""

import pytest
import torch
from torch import Tensor

from ppgssl.config import Config, load_config
from ppgssl.models.autoencoder import build_autoencoder
from ppgssl.models.lean_autoencoder import reconstruct
from ppgssl.objectives.pretraining import PretrainingObjective
from ppgssl.training.activations import keeps_activations, kept_bytes
from ppgssl.views import Views

SMALL = (
    "data.window_seconds=40",
    "model.base_filters=8",
    "model.max_filters=32",
    "training.batch_size=4",
)


def saved_bytes(config: Config, inputs: Tensor) -> int:
    """What autograd keeps of a forward pass, each piece of memory once."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model = build_autoencoder(config).train()
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        code = reconstruct(model, inputs)
    del code
    return sum(count for pointer, count in saved.items() if pointer not in weights)


@pytest.mark.parametrize("blocks", [2, 4])
def test_what_is_reckoned_is_what_autograd_keeps_of_the_trunk(blocks: int):
    config = load_config("as_drawn", [*SMALL, f"model.num_blocks={blocks}"])
    inputs = torch.randn(4, 1, config.data.window_samples)

    assert saved_bytes(config, inputs) == pytest.approx(kept_bytes(config), rel=0.05)


def test_with_pieces_half_of_the_windows_are_kept_at_a_time():
    whole, in_pieces = (
        load_config("ssl_pretraining", [f"augmentation.piece_seconds={pieces}"])
        for pieces in ("null", "[10,30]")
    )

    assert kept_bytes(in_pieces) * 2 == kept_bytes(whole)


@pytest.mark.parametrize(
    ("wish", "share_of_need", "keeps"),
    [
        ("auto", 2.1, True),
        ("auto", 1.9, False),
        ("auto", None, True),
        ("true", 9.0, False),
        ("false", 0.1, True),
    ],
)
def test_auto_keeps_what_half_of_the_free_memory_holds(
    wish: str, share_of_need: float | None, keeps: bool
):
    config = load_config("ssl_pretraining", [f"training.checkpoint_activations={wish}"])
    free = None if share_of_need is None else round(share_of_need * kept_bytes(config))

    assert keeps_activations(config, free) is keeps


def test_losses_and_gradients_are_the_same():
    config = load_config("ssl_pretraining", SMALL)
    torch.manual_seed(0)
    windows = torch.randn(4, 1, config.data.window_samples)
    found = []
    for keep in (True, False):
        torch.manual_seed(0)
        model = build_autoencoder(config)
        objective = PretrainingObjective(model, config, keep_activations=keep).train()
        total = objective(Views.plain(windows, windows)).total
        total.backward()
        gradients = {n: p.grad for n, p in objective.named_parameters() if p.grad is not None}
        found.append((total.detach(), gradients, dict(objective.named_buffers())))

    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-7)
