"""What a model registers: weights, which may be learned, state, which may not, and what no package can hold.

A parameter of whole numbers, as some libraries keep a permutation, has no gradient: it is state, like a buffer. A
buffer that is a parameter too is that parameter, under another name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hypergen_compiler.errors import HyperGenError

__all__ = ["check_registered", "named_state", "named_weights", "unprintable"]


def named_weights(model: nn.Module, *, every_name: bool = False) -> dict[str, Tensor]:
    """Parameters by name, a tied one under its first or under `every_name`."""
    found = {name: value for name, value in model.named_parameters(remove_duplicate=not every_name) if is_weight(value)}
    known = set(map(id, found.values()))
    buffers = model.named_buffers(remove_duplicate=False) if every_name else ()
    return found | {name: value for name, value in buffers if id(value) in known}


def named_state(model: nn.Module, *, every_name: bool = False) -> dict[str, Tensor]:
    """Buffers, and parameters that cannot be learned, by name."""
    buffers = dict(model.named_buffers(remove_duplicate=not every_name))
    parameters = dict(model.named_parameters(remove_duplicate=not every_name))
    weights = {id(value) for value in parameters.values() if is_weight(value)}
    return {name: value for name, value in (buffers | parameters).items() if id(value) not in weights}


def is_weight(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def check_registered(model: nn.Module) -> None:
    """Raises HG301 or HG402 for a tensor that no package can hold, and HG401 for a hook that none would run."""
    for name, value in named_weights(model).items():
        if problem := unprintable(value) or overlap(value):
            remedy = "Make it a dense tensor of its own, with `.to_dense()` or `.clone()`."
            raise HyperGenError("HG301", f"parameter {name!r} {problem}", remedy=remedy)
        if not is_lazy(value) and value._backward_hooks:
            raise hooked(f"parameter {name!r}")
    for name, value in named_state(model).items():
        if problem := unprintable(value):
            remedy = "Keep it dense, and convert it where it is used."
            raise HyperGenError("HG402", f"buffer {name!r} {problem}", remedy=remedy)
    for name, module in model.named_modules():
        if module._backward_hooks or module._backward_pre_hooks:
            raise hooked(f"module {name!r}")


def unprintable(value: Tensor) -> str | None:
    """Why a tensor has no plain values to write down, if it has none."""
    if value.is_quantized:
        return "is quantized"
    return None if value.layout == torch.strided and not value.is_nested else f"is laid out as {value.layout}"


def overlap(value: Tensor) -> str | None:
    shared = any(size > 1 and not stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return "holds several elements in one place of memory, as `expand` leaves them" if shared else None


def hooked(what: str) -> HyperGenError:
    remedy = "Remove the hook; scale or mask what flows back in the loss itself, by an autograd function or detach()."
    return HyperGenError("HG401", f"{what} has a hook on its gradient, which the package would not run", remedy=remedy)
