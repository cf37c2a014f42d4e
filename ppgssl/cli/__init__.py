"""The `ppgssl` command: one file per group of commands, heavy imports inside them."""
