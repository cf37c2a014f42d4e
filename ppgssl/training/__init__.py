"""One training run: step, schedule, checkpoints, health. It knows no database and no HTTP."""
