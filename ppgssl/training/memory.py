"""Telling a want of memory from other errors. Imports no PyTorch."""

import sys

HOW_IT_IS_PUT = ("can't allocate memory", "STATUS_ALLOC_FAILED")
"""By PyTorch's CPU allocator, and by cuBLAS, cuDNN and the like where CUDA's memory is full."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, PyTorch's CPU allocator or CUDA ran out of memory."""
    torch = sys.modules.get("torch")
    return (
        isinstance(error, MemoryError)
        or (torch is not None and isinstance(error, torch.OutOfMemoryError))
        or any(words in str(error) for words in HOW_IT_IS_PUT)
    )
