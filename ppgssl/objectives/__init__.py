"""Ways of learning, one file each: a batch of windows in, named loss terms out."""
