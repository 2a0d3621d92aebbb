"""Which tensors are written into the code, and which lie in the data file beside it."""

from __future__ import annotations

import torch

__all__ = ["needs_file"]

LARGEST_LITERAL = 8  # elements of a tensor that is written out
LITERAL_TYPES = (torch.float32, torch.int64, torch.bool)


def needs_file(value: torch.Tensor) -> bool:
    """Whether a tensor is stored in the data file instead of being written out."""
    small = value.numel() <= LARGEST_LITERAL
    return (not small and not is_uniform(value)) or value.dtype not in LITERAL_TYPES


def is_uniform(value: torch.Tensor) -> bool:
    return bool((value == value.flatten()[0]).all())
