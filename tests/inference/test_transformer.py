"""The encoder in a scikit-learn pipeline."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppgssl.errors import CheckpointError, WindowError
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.transformer import PPGEmbedder

BPM = np.linspace(45, 150, 40)


def pulses(fs_hz: float = 125.0) -> np.ndarray:
    t = np.arange(round(10 * fs_hz)) / fs_hz
    return np.sin(2 * np.pi * BPM[:, None] / 60 * t).astype(np.float32)


def test_a_pipeline_learns_the_heart_rate_from_windows_of_another_rate():
    pipeline = make_pipeline(PPGEmbedder(fs_hz=64), StandardScaler(), Ridge())
    order = np.random.default_rng(0).permutation(len(BPM))

    scores = cross_val_score(pipeline, pulses(64)[order], BPM[order], cv=3)

    assert scores.min() > 0.9


def test_it_gives_what_the_encoder_gives_also_after_being_copied(encoder_folder):
    embedder = PPGEmbedder(str(encoder_folder)).fit(pulses())
    expected = load_encoder(encoder_folder).embed(pulses()).embedding

    for one in (embedder, clone(embedder), pickle.loads(pickle.dumps(embedder))):
        np.testing.assert_array_equal(one.transform(pulses()), expected)
    assert len(pickle.dumps(embedder)) < 10_000
    assert embedder.get_feature_names_out()[[0, -1]].tolist() == ["embedding_0", "embedding_511"]


def test_another_encoder_is_loaded_when_the_parameter_changes(encoder_folder, make_encoder):
    embedder = PPGEmbedder("absent")
    with pytest.raises(CheckpointError, match="no encoder in absent"):
        embedder.fit(pulses())

    embedder.set_params(encoder=str(encoder_folder)).fit(pulses())
    before = embedder.transform(pulses())
    embedder.set_params(encoder=str(make_encoder("model.base_filters=2")))

    assert np.abs(embedder.transform(pulses()) - before).max() > 1e-3


def test_a_bad_window_is_named():
    windows = pulses()
    windows[3] = 1.0

    with pytest.raises(WindowError, match="window 3: flat"):
        PPGEmbedder().fit_transform(windows)
