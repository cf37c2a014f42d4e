"""The encoder as a step of a scikit-learn pipeline: windows in, embeddings out."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ppgssl.inference.encoder import PpgEncoder, load_encoder


class PPGEmbedder(TransformerMixin, BaseEstimator):
    """Embeds PPG windows (N, T); there is nothing to fit.

        make_pipeline(PPGEmbedder(fs_hz=64), StandardScaler(), Ridge()).fit(windows, hr_bpm)

    A copy, as `clone` and a pickle make it, loads the encoder anew when it is first used.

    Args:
        encoder: Checkpoint or run folder, or `default`.
        fs_hz: Sampling rate of the windows, Hz; None is the encoder's own.
        device: `cpu`, `cuda` or `cuda:N`.
    """

    def __init__(
        self, encoder: str = "default", *, fs_hz: float | None = None, device: str = "cpu"
    ) -> None:
        self.encoder = encoder
        self.fs_hz = fs_hz
        self.device = device

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, object]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_loaded"}

    def fit(self, X: npt.NDArray[np.floating], y: object = None) -> Self:
        """Load the encoder, so that one that is missing is told of at once.

        Raises:
            CheckpointError: There is no encoder, or it is damaged.
        """
        self._load()
        return self

    def transform(self, X: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Embeddings (N, D) of windows (N, T).

        Raises:
            WindowError: A window is too short, flat, or not finite; the message names it.
            CheckpointError: There is no encoder, or it is damaged.
        """
        return self._load().embed(np.asarray(X), self.fs_hz).embedding

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Names of the columns: `embedding_0`, `embedding_1`, ..."""
        width = self._load().info.embedding_dim
        return np.asarray([f"embedding_{number}" for number in range(width)], dtype=object)

    def set_params(self, **params: object) -> Self:
        """Change parameters; the encoder is loaded anew."""
        self.__dict__.pop("_loaded", None)
        return super().set_params(**params)

    def _load(self) -> PpgEncoder:
        if "_loaded" not in self.__dict__:
            self._loaded = load_encoder(self.encoder, self.device)
        return self._loaded
