"""Whether this machine can run ppgssl, and what to do where it cannot. Changes nothing on it."""
