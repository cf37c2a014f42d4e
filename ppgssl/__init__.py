"""Pretrain a self-supervised encoder on PPG recordings and use its embeddings.

The library half of ppgssl: it works in a notebook with no server and no database, and importing it
loads neither FastAPI nor SQLAlchemy nor PyTorch.
"""

__version__ = "0.1.0"
