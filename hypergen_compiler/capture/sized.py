"""Tensors of Python's or numpy's numbers that only follow the batch size: one number n times, or 0 to n - 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from hypergen_compiler.capture.numbers import Mismatch, follow

__all__ = ["made_from_sizes"]

Made = tuple[Callable[..., Any], str, tuple[Any, ...], dict[str, Any]]


def made_from_sizes(values: Sequence[Tensor | None], sizes: Sequence[int]) -> Made | None:
    """A call, as its function, name and arguments, that makes the tensors of all runs; None where there is none."""
    found = [value for value in values if value is not None and not isinstance(value, FakeTensor) and value.numel()]
    if len(found) < len(values) or len({(value.dtype, value.ndim, value.device) for value in found}) > 1:
        return None
    try:
        shape = tuple(follow(column, sizes) for column in zip(*(value.shape for value in found), strict=True))
    except Mismatch:
        return None
    number = found[0].flatten()[0].item()
    kept = {} if found[0].dtype == torch.get_default_dtype() else {"dtype": found[0].dtype}
    if all(bool((value == number).all()) for value in found):
        if number in (0, 1) and not isinstance(number, bool):
            name = "ones" if number else "zeros"
            return getattr(torch, name), f"torch.{name}", (shape,), kept
        return torch.full, "torch.full", (shape, number), kept
    if len(shape) == 1 and all(torch.equal(value, torch.arange(len(value)).to(value)) for value in found):
        kept = {} if found[0].dtype == torch.int64 else {"dtype": found[0].dtype}
        return torch.arange, "torch.arange", shape, kept
    return None
