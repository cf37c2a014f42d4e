"""`python -m ppgssl.train` is `ppgssl train`."""

import typer

from ppgssl.cli.train import train_command
from ppgssl.threads import let_idle_threads_sleep

if __name__ == "__main__":
    let_idle_threads_sleep()
    typer.run(train_command)
