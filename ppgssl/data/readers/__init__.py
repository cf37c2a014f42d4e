"""One reader per file format: each finds the recordings in a file and loads them."""
