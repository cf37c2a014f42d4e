"""A real worker process whose only kind of job is `steady`; settings from the environment."""

import os
from pathlib import Path

from ppgssl.jobs.settings import Settings
from worker.main import serve

os.environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)  # for the run's process
serve(Settings(), kinds={"steady": "steady_runs:run"})
