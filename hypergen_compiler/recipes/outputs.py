"""The tensors that a network's output stands for, whatever container it returns them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["prediction", "tensors_of"]

USUAL_FIELDS = ("sample", "logits", "reconstruction")  # of diffusers, transformers and pythae


def prediction(output: Any) -> Tensor:
    """The tensor itself, a library's usual field, or else the first tensor there is. Raises TypeError without one."""
    for name in USUAL_FIELDS:
        if not isinstance(output, Tensor) and isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    found = tensors_of(output)
    if not found:
        raise TypeError(f"the network returns a {type(output).__name__} without a tensor")
    return found[0]


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors of an output, those of a mapping or a dataclass in the order of its fields."""
    if isinstance(output, Tensor):
        return [output]
    if hasattr(output, "__dataclass_fields__"):
        return tensors_of([getattr(output, name) for name in output.__dataclass_fields__])
    if isinstance(output, Mapping):
        return tensors_of(list(output.values()))
    if isinstance(output, tuple | list):
        return [tensor for item in output for tensor in tensors_of(item)]
    return []
