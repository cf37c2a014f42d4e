"""What an evaluation is asked for: the same settings for Python, the shell and the service.

Import is light: the service reads these settings without loading what computes.
"""

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from ppgssl.inference.settings import SHORTEST_WINDOW_S


class EvaluationSettings(BaseModel):
    """How an encoder is evaluated.

    Attributes:
        labels: Labels to probe; none means every label that can be probed.
        window_seconds: Length of the windows that recordings are cut into; a dataset folder is cut
            already.
        hop_seconds: From the start of one window to the next; None is `window_seconds`.
        label_efficiency: Also probe with the labels of few people.
        robustness: Also test the probes on corrupted windows.
        references: Hold learnt and classical references beside the encoder. Without them only
            log-spectrum features and the mean stand there.
        seed: Of bootstrap, draws of people, noise and the untrained encoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = ()
    window_seconds: float = Field(default=10.0, ge=SHORTEST_WINDOW_S, allow_inf_nan=False)
    hop_seconds: PositiveFloat | None = Field(default=None, allow_inf_nan=False)
    label_efficiency: bool = True
    robustness: bool = True
    references: bool = True
    seed: int = Field(default=0, ge=0)
