"""What a batch of windows becomes before the encoder sees it."""

import math

import pytest
import torch

from ppgssl.augment import add_noise, estimate_snr_db
from ppgssl.config import AugmentationConfig, load_config
from ppgssl.models.encoder import standardise
from ppgssl.objectives.pulses import breathing_distribution
from ppgssl.objectives.rates import BREATHING
from ppgssl.signal.rates import heart_rate_bpm
from ppgssl.views import Draw, Views, make_views

FS_HZ = 125.0
STILL = {
    "piece_seconds": None,
    "time_stretch": 1.0,
    "polarity_flip_prob": 0.0,
    "temporal_shift_range": 0.0,
    "amplitude_scale_range": (1.0, 1.0),
    "breathing_prob": 0.0,
    "baseline_wander_prob": 0.0,
    "drift_prob": 0.0,
    "low_pass_prob": 0.0,
    "motion_prob": 0.0,
    "dropout_prob": 0.0,
    "noise_prob": 0.0,
}


def pulse(bpm: float = 72, *, windows: int = 4, seconds: float = 20) -> torch.Tensor:
    t = torch.arange(round(seconds * FS_HZ)) / FS_HZ
    return standardise(torch.sin(2 * math.pi * bpm / 60 * t)).expand(windows, 1, -1).clone()


def views_of(x: torch.Tensor, *, seed: int = 0, **settings: object) -> list[Views]:
    config = AugmentationConfig(**(STILL | settings))
    generator = torch.Generator().manual_seed(seed)
    return make_views(x, x, config, fs_hz=FS_HZ, generator=generator)


def test_without_any_augmentation_a_view_is_the_window():
    x = pulse()

    (views,) = views_of(x)

    torch.testing.assert_close(views.inputs, x)
    torch.testing.assert_close(views.targets, x)
    assert views.origin.tolist() == [0, 1, 2, 3]
    assert views.breathing_bpm.isnan().all()


@pytest.mark.parametrize(
    "geometry",
    [
        {"temporal_shift_range": 0.1},
        {"amplitude_scale_range": (0.5, 0.9)},
        {"time_stretch": 1.4, "time_stretch_prob": 1.0},
        {"polarity_flip_prob": 1.0},
    ],
)
def test_geometry_moves_input_and_target_alike(geometry: dict[str, object]):
    x = pulse()

    (views,) = views_of(x, **geometry)

    torch.testing.assert_close(views.inputs, views.targets)
    assert not torch.allclose(views.inputs, x, atol=1e-2)


@pytest.mark.parametrize(
    "corruption",
    [
        {"baseline_wander_prob": 1.0},
        {"drift_prob": 1.0},
        {"noise_prob": 1.0},
        {"motion_prob": 1.0},
        {"dropout_prob": 1.0},
    ],
)
def test_corruption_touches_the_input_only(corruption: dict[str, object]):
    x = pulse()

    (views,) = views_of(x, **corruption)

    torch.testing.assert_close(views.targets, x)
    assert ((views.inputs - x).abs().amax(dim=-1) > 0.05).all()


def test_what_is_measured_is_the_right_way_up_whatever_the_input():
    x = pulse()

    (views,) = views_of(x, polarity_flip_prob=1.0)

    torch.testing.assert_close(views.inputs, -x)
    torch.testing.assert_close(views.clean, x[:, 0])
    torch.testing.assert_close(views.recorded, x)


def test_half_of_the_windows_are_cut_into_pieces_that_know_their_window():
    x = torch.cat([pulse(bpm, windows=1, seconds=60) for bpm in (50, 60, 70, 80)])

    whole, pieces = views_of(x, piece_seconds=(20.0, 20.0))

    assert whole.inputs.shape == (2, 1, 7500)
    assert pieces.inputs.shape == (6, 1, 2500)
    assert pieces.origin.tolist() == [0, 0, 0, 1, 1, 1]
    assert pieces.num_windows == whole.num_windows == 2
    rates = heart_rate_bpm(pieces.inputs[:, 0].numpy(), FS_HZ)
    assert rates.tolist() == pytest.approx([50, 50, 50, 60, 60, 60], abs=1)


def test_pieces_are_standardised_by_themselves():
    x = pulse(seconds=60) * torch.linspace(0.1, 3, 7500)

    _, pieces = views_of(x, piece_seconds=(20.0, 20.0))

    assert pieces.inputs.std(-1, unbiased=False).flatten().tolist() == pytest.approx([1] * 6)


def test_a_window_too_short_for_two_pieces_stays_whole():
    views = views_of(pulse(seconds=20), piece_seconds=(11.0, 15.0))

    assert len(views) == 1


def test_imposed_breathing_is_found_at_the_rate_that_the_view_names():
    (views,) = views_of(pulse(windows=8, seconds=60), breathing_prob=1.0)

    found = breathing_distribution(views.inputs[:, 0], views.clean, FS_HZ).argmax(-1)
    rates = BREATHING.rates()[found]
    assert ((rates - views.breathing_bpm).abs() < 2).float().mean() > 0.7
    assert not torch.allclose(views.inputs, views.targets, atol=0.1)  # the baseline is the input's


def test_breathing_that_is_played_faster_is_named_at_the_faster_rate():
    x = pulse(windows=8, seconds=60)

    (calm,) = views_of(x, breathing_prob=1.0)
    (faster,) = views_of(x, breathing_prob=1.0, time_stretch=1.4, time_stretch_prob=1.0)

    speed = faster.breathing_bpm / calm.breathing_bpm
    assert ((speed > 1 / 1.41) & (speed < 1.41)).all()
    assert speed.std() > 0.05


def test_short_windows_do_not_breathe():
    (views,) = views_of(pulse(seconds=10), breathing_prob=1.0)

    assert views.breathing_bpm.isnan().all()


def test_wander_and_noise_come_as_often_as_their_probabilities_say():
    x = pulse(windows=1000, seconds=2)

    (wander,) = views_of(x, baseline_wander_prob=0.6, baseline_wander_freq=0.5)
    (noise,) = views_of(x, noise_prob=0.4)

    assert changed_share(wander.inputs, x) == pytest.approx(0.6, abs=0.05)
    assert changed_share(noise.inputs, x) == pytest.approx(0.4, abs=0.05)


def changed_share(windows: torch.Tensor, originals: torch.Tensor) -> float:
    return ((windows - originals).abs().amax(dim=(1, 2)) > 1e-3).float().mean().item()


def test_noise_as_the_reference_adds_it_lies_at_a_share_of_the_window_s_own_snr():
    clean = pulse(windows=1, seconds=100)
    own_noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    x = standardise(add_noise(clean, own_noise, snr_db=torch.tensor([20.0])))

    (views,) = views_of(x, noise_prob=1.0, noise_snr_db=None, noise_snr_ratio=0.8)

    gain = (views.inputs * x).mean() / (x * x).mean()  # the sum was standardised again
    added_db = 10 * torch.log10(x.var() / (views.inputs / gain - x).var())
    assert added_db.item() == pytest.approx(0.8 * estimate_snr_db(x, fs_hz=FS_HZ).item(), abs=0.2)


def test_the_same_seed_gives_the_same_views_and_leaves_its_arguments_alone():
    x = pulse(seconds=60)
    before = x.clone()
    everything = load_config("ssl_pretraining").augmentation.model_dump()

    first = views_of(x, seed=3, **everything)
    second = views_of(x, seed=3, **everything)
    other = views_of(x, seed=4, **everything)

    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0].inputs, other[0].inputs)
    assert torch.equal(x, before)


def test_the_reference_as_drawn_sees_whole_windows_only():
    config = load_config("as_drawn").augmentation
    x = pulse(seconds=60)

    views = make_views(x, x, config, fs_hz=FS_HZ, generator=torch.Generator().manual_seed(0))

    assert len(views) == 1
    assert (views[0].polarity == 1).all()


def test_a_number_for_the_host_is_that_of_the_stream_and_asks_no_other_device():
    on_cpu = Draw(torch.Generator().manual_seed(3), torch.device("cpu"))
    same = Draw(torch.Generator().manual_seed(3), torch.device("cpu"))
    elsewhere = Draw(torch.Generator().manual_seed(3), torch.device("meta"))

    first = [on_cpu.number(10, 30) for _ in range(3)]

    assert first == [float(same.uniform(1, 10, 30)) for _ in range(3)]
    assert elsewhere.number(10, 30) == first[0]  # of a meta tensor nobody can read a number
