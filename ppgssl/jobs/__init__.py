"""The job table and every query on it; used by `api` and `worker`, known to nothing else."""
