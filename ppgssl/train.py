"""`python -m ppgssl.train` is `ppgssl train`."""

import typer

from ppgssl.cli.train import train_command

if __name__ == "__main__":
    typer.run(train_command)
