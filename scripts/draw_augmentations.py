"""Draw every augmentation, before and after, to docs/images/augmentations.png."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch

from ppgssl.augment import (
    add_baseline_wander,
    add_drift,
    add_noise,
    band_limited,
    breathe,
    hold,
    low_pass,
    shift,
    stretch,
)
from ppgssl.models.encoder import standardise
from ppgssl.signal.simulate import simulate_recording

OUT = Path(__file__).parent.parent / "docs" / "images" / "augmentations.png"
FS_HZ = 125.0
SECONDS = 10


def main() -> None:
    """Write the picture."""
    recording = simulate_recording(
        3, minutes=1, heart_rate_bpm=70, rhythm="sinus", snr_db=22, artefacts_per_hour=0
    )
    samples = torch.from_numpy(recording.signal[: int(SECONDS * FS_HZ)])
    window = standardise(samples)[None, None]
    noise = torch.randn(window.shape, generator=torch.Generator().manual_seed(0))
    breathing, breath = breathe(
        window,
        fs_hz=FS_HZ,
        rate_bpm=torch.tensor([18.0]),
        phase=torch.tensor([0.0]),
        rate_change=torch.tensor([0.05]),
        amplitude_change=torch.tensor([0.3]),
    )
    wander = add_baseline_wander(
        window,
        fs_hz=FS_HZ,
        frequency_hz=torch.tensor([0.05]),
        phase=torch.tensor([0.0]),
        amplitude=torch.tensor([0.7]),
    )
    drift = add_drift(
        window,
        noise,
        fs_hz=FS_HZ,
        steepness=torch.tensor([1.0]),
        amplitude=torch.tensor([0.6]),
    )
    burst = 2 * band_limited(noise, fs_hz=FS_HZ)
    burst[..., :500], burst[..., 750:] = 0, 0
    drawn = {
        "imposed breathing: 18 breaths/min": breathing + 0.3 * breath,
        "time stretch: 1.3 times faster": stretch(window, torch.tensor([1.3])),
        "temporal shift: +10 % of the window, circular": shift(window, torch.tensor([125])),
        "baseline wander: 0.05 Hz": wander,
        "drift: 0.6 of the window's deviation": drift,
        "noise at 5 dB": add_noise(window, noise, snr_db=torch.tensor([5.0])),
        "motion: two seconds at twice the window's deviation": window + burst,
        "dropout: one second": hold(window, torch.tensor([600]), torch.tensor([125])),
        "low pass at 8 Hz": low_pass(window, torch.tensor([8.0]), fs_hz=FS_HZ),
        "polarity": -window,
    }

    time_s = torch.arange(window.shape[-1]) / FS_HZ
    figure, axes = plt.subplots(len(drawn), 1, figsize=(10, 15), sharex=True, layout="constrained")
    for axis, (title, after) in zip(axes, drawn.items(), strict=True):
        axis.plot(time_s, window[0, 0], color="0.65", linewidth=1.5, label="before")
        axis.plot(time_s, after[0, 0], color="C3", linewidth=0.9, label="after")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylabel("standardised")
    axes[0].legend(loc="upper right", ncols=2)
    axes[-1].set_xlabel("time (s)")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
