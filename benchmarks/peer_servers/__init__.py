"""The same encoder behind other servers: one file each, run in an environment of its own."""
