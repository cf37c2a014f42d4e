"""From raw recordings to windows on disk, and from windows on disk to batches."""
