"""A cheap probe that needs no labels: what embeddings know of the heart rate.

Ridge regression in closed form on frozen embeddings, fitted on training windows and tested on
held-out people. The strength of the penalty is chosen on the fitted windows alone. Nothing here
draws random numbers.

Axes used in this file:
    N  fitted windows    M  tested windows    D  width of the embeddings
"""

import numpy as np
from jaxtyping import Float

PENALTIES = np.logspace(0, 5, 11)  # those of the evaluation's probes


def heart_rate_probe(
    fitted: Float[np.ndarray, "N D"],
    fitted_rates: Float[np.ndarray, " N"],
    tested: Float[np.ndarray, "M D"],
    tested_rates: Float[np.ndarray, " M"],
) -> dict[str, float]:
    """Error of the probe beside that of predicting the mean.

    Args:
        fitted: Embeddings that the probe is fitted on.
        fitted_rates: Their heart rates, beats per minute.
        tested: Embeddings of other people's windows.
        tested_rates: Their heart rates, beats per minute.

    Returns:
        hr_probe_mae: mean absolute error, beats per minute.
        hr_probe_r: correlation of predicted and true rates, -1 to 1; 0 where one of them is
            constant.
        hr_mean_mae: mean absolute error of predicting the fitted windows' mean rate.
    """
    predicted = ridge(fitted, fitted_rates, tested)
    is_constant = tested_rates.std() == 0 or predicted.std() == 0
    return {
        "hr_probe_mae": float(np.abs(predicted - tested_rates).mean()),
        "hr_probe_r": 0.0 if is_constant else float(np.corrcoef(predicted, tested_rates)[0, 1]),
        "hr_mean_mae": float(np.abs(fitted_rates.mean() - tested_rates).mean()),
    }


def ridge(
    features: Float[np.ndarray, "N D"],
    labels: Float[np.ndarray, " N"],
    others: Float[np.ndarray, "M D"],
) -> Float[np.ndarray, " M"]:
    """Fit labels on standardised features, predict those of other windows.

    The penalty is the one with the lowest generalised cross-validation error: N RSS / (N - 1 - h)²
    with h the effective number of parameters; features that do not vary are left out.

    Source:
        Golub, Heath and Wahba 1979, Generalized cross-validation.
    """
    centre, scale = features.mean(0), features.std(0)
    varies = scale > 0
    x = (features[:, varies] - centre[varies]) / scale[varies]
    y = labels - labels.mean()
    strength, directions = np.linalg.eigh(x.T @ x)
    strength = np.maximum(strength, 0.0)  # rounding may leave it just below
    projected = directions.T @ (x.T @ y)

    num_windows = len(y)
    errors: list[float] = []
    for penalty in PENALTIES:
        kept = strength / (strength + penalty)
        residual = y @ y - (projected**2 * (2 - kept) / (strength + penalty)).sum()
        errors.append(num_windows * residual / (num_windows - 1 - kept.sum()) ** 2)
    best = PENALTIES[int(np.argmin(errors))]
    weights = directions @ (projected / (strength + best))
    return (others[:, varies] - centre[varies]) / scale[varies] @ weights + labels.mean()
