"""The tensors that a model registers: weights, which may be learned, and state, which may not.

A parameter of whole numbers, as some libraries keep a permutation, has no gradient: it is state, like a buffer.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["named_state", "named_weights"]


def named_weights(model: nn.Module, *, every_name: bool = False) -> dict[str, Tensor]:
    """Parameters by name, a tied one under its first or under `every_name`."""
    return {
        name: value for name, value in model.named_parameters(remove_duplicate=not every_name) if may_be_learned(value)
    }


def named_state(model: nn.Module, *, every_name: bool = False) -> dict[str, Tensor]:
    """Buffers, and parameters that cannot be learned, by name."""
    parameters = model.named_parameters(remove_duplicate=not every_name)
    return dict(model.named_buffers(remove_duplicate=not every_name)) | {
        name: value for name, value in parameters if not may_be_learned(value)
    }


def may_be_learned(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()
