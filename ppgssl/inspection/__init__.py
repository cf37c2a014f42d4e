"""What is in a recording, a dataset, a checkpoint or a file of embeddings, in figures and drawn."""
