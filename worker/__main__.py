"""`python -m worker`: run a worker with the settings of the environment."""

from worker.main import main

main()
