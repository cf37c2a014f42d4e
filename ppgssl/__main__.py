"""`python -m ppgssl` is the `ppgssl` command."""

from ppgssl.cli.main import main

main()
