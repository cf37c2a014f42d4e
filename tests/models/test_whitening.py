"""Half-whitening by running figures of training."""

import torch
from torch import nn

from ppgssl.models.effective_rank import effective_rank
from ppgssl.models.shared_directions import directions
from ppgssl.models.whitening import Whitening

WIDTH = 16
SPREADS = torch.logspace(-2, 1, WIDTH)
BESIDE = torch.eye(WIDTH) - directions(WIDTH).T @ directions(WIDTH) / WIDTH


def some_vectors(count: int, seed: int = 0) -> torch.Tensor:
    """Vectors of very different spreads around 3, and nothing along the shared directions."""
    generator = torch.Generator().manual_seed(seed)
    axes, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(9)))
    drawn = torch.randn(count, WIDTH, generator=generator) * SPREADS + 3
    return drawn @ axes @ BESIDE


def trained(steps: int = 600) -> Whitening:
    whitening = Whitening(WIDTH).train()
    for step in range(steps):
        whitening.observe(some_vectors(32, step).view(8, 4, WIDTH))
    return whitening.eval()


def test_it_starts_by_changing_nothing():
    vectors = torch.randn(5, WIDTH)

    torch.testing.assert_close(Whitening(WIDTH).eval()(vectors), vectors)


def test_spreads_come_nearer_to_each_other_around_a_mean_variance_of_one():
    vectors = some_vectors(5_000, seed=-1)

    whitened = trained()(vectors)

    rank, before = (effective_rank(those - those.mean(0)) for those in (whitened, vectors))
    assert rank > 1.5 * before
    assert whitened.mean(0).abs().max() < 0.2
    # Two of the dimensions belong to the shared directions.
    assert abs(whitened.var(0).sum() / (WIDTH - 2) - 1) < 0.2


def test_the_order_of_spreads_is_kept():
    spreads = torch.linalg.svdvals(trained()(some_vectors(5_000, seed=-1)).double())

    assert spreads[0] > 3 * spreads[WIDTH - 3]


def test_what_lies_along_the_shared_directions_stays_as_it_is():
    vectors = some_vectors(10)
    said = torch.tensor([[7.0, -2.0]]) @ directions(WIDTH)
    whitening = trained()

    torch.testing.assert_close(
        whitening(vectors + said) - whitening(vectors),
        said.expand_as(vectors),
        rtol=1e-3,
        atol=1e-3,
    )


def test_training_takes_vectors_as_they_are():
    vectors = some_vectors(4)

    assert torch.equal(trained().train()(vectors), vectors)


def test_the_running_figures_travel_with_the_weights():
    whitening, again = trained(), Whitening(WIDTH)
    again.load_state_dict(whitening.state_dict())

    vectors = some_vectors(4)

    assert torch.equal(again.eval()(vectors), whitening(vectors))


def test_any_module_around_it_settles_it_for_evaluation():
    around = nn.Sequential(trained().train())
    vectors = some_vectors(4)

    assert not torch.equal(around.eval()(vectors), vectors)
