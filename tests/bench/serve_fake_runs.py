"""A real worker process whose only kind of job is `fake`; settings from the environment."""

from ppgssl.jobs.settings import Settings
from worker.main import serve

serve(Settings(), kinds={"fake": "fake_runs:run"})
