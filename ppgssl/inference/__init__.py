"""Load a trained encoder and embed windows of any length and rate; export it."""
