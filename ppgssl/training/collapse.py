"""When a run learns nothing: what the health figures say of it, the cause and the remedy.

Only reads figures; what follows from a warning (a notice on the job, an end of the run) is the
trainer's affair.
"""

from ppgssl.config import ModelConfig

LOWEST_EXPLAINED_VARIANCE = 0.05
LOWEST_EFFECTIVE_RANK = 4.0
MOST_DEAD_DIMENSIONS = 0.5
HIGHEST_UNIFORMITY = -0.1  # untrained -0.001, as drawn -0.002 to -0.05, learning below -0.2
WORTHWHILE_SPREAD_BPM = 2.0  # of the heart rates; below it there is nothing to predict
LOWEST_CORRELATION = 0.2

GRACE_EPOCHS = 3  # after the warm-up; before that, or before so many steps,
GRACE_STEPS = (
    500  # a slow start is no collapse: learning may wait on a plateau of hundreds of steps
)
GRACE_STEPS_WITHOUT_POSITION = 100  # that plateau does not end where position is lost


def carries_position(model: ModelConfig) -> bool:
    """Whether the decoder is told where in the window the beats are."""
    return model.pooling == "positional" or model.pose_channels > 0


def is_past_grace(*, epochs_at_full_rate: int, steps: int, carries_position: bool) -> bool:
    """Whether a run is old enough that learning nothing is no slow start."""
    least_steps = GRACE_STEPS if carries_position else GRACE_STEPS_WITHOUT_POSITION
    return epochs_at_full_rate >= GRACE_EPOCHS and steps >= least_steps


def find_collapse(
    values: dict[str, float], *, carries_position: bool, reconstructs: bool = True
) -> dict[str, str]:
    """Warnings about a run that learns nothing, by kind, each with its cause and remedy.

    Args:
        values: Health figures of the newest validation; those that it lacks are not judged.
        carries_position: Whether the run's decoder is told where the beats are.
        reconstructs: Whether the run is asked to reconstruct at all.
    """
    warnings: dict[str, str] = {}
    explained = values["explained_variance"]
    if reconstructs and explained < LOWEST_EXPLAINED_VARIANCE:
        warnings["reconstruction"] = (
            f"reconstruction collapsed: {explained:.1%} of the held-out variance is explained, "
            f"predicting the mean explains 0 %; {remedy(carries_position=carries_position)}"
        )
    if symptoms := _symptoms(values):
        advice = (
            "more varied recordings or a lower training.learning_rate usually help"
            if carries_position
            else remedy(carries_position=False)
        )
        warnings["embeddings"] = f"embeddings collapsed: {', '.join(symptoms)}; {advice}"
    return warnings


def find_weakness(values: dict[str, float]) -> dict[str, str]:
    """Notices about a run that learns, but nothing of the heart rate; by kind."""
    if "hr_probe_mae" not in values:
        return {}
    probe, mean, r = (values[name] for name in ("hr_probe_mae", "hr_mean_mae", "hr_probe_r"))
    if mean < WORTHWHILE_SPREAD_BPM or probe < mean or r > LOWEST_CORRELATION:
        return {}
    return {
        "heart_rate": (
            f"the embeddings say nothing about the heart rate yet: a linear probe errs by "
            f"{probe:.1f} bpm on held-out windows, predicting the mean by {mean:.1f} bpm "
            f"(correlation {r:.2f}); train longer, or check that the denoised signals show a pulse"
        )
    }


def remedy(*, carries_position: bool) -> str:
    """What usually mends a model that predicts the mean."""
    if carries_position:
        return "check the dataset's denoised signals, and try another training.learning_rate"
    return (
        "mean pooling forgets where the beats are, and nothing else tells the decoder: set "
        "model.pose_channels=3 or model.pooling=positional"
    )


def _symptoms(values: dict[str, float]) -> list[str]:
    symptoms: list[str] = []
    rank, dead = values["effective_rank"], values["dead_dimensions"]
    if rank < LOWEST_EFFECTIVE_RANK:
        symptoms.append(f"they differ in hardly more than {rank:.1f} directions (effective rank)")
    if dead > MOST_DEAD_DIMENSIONS:
        symptoms.append(f"{dead:.0%} of their dimensions do not vary")
    alike = values.get("uniformity", HIGHEST_UNIFORMITY)
    if alike > HIGHEST_UNIFORMITY:
        symptoms.append(
            f"all windows have nearly the same one (uniformity {alike:.3f}, 0 is alike)"
        )
    return symptoms
