"""The one place where a value becomes a Python literal."""

from __future__ import annotations

import math

import torch

from hypergen_compiler.emit.text import Code
from hypergen_compiler.errors import HyperGenError

__all__ = ["indexed_literal", "literal", "tensor_literal"]


# Types that stand for a dtype, as in `dtype=bool`.
TYPES = {bool: "torch.bool", int: "torch.int64", float: "torch.float64"}


def literal(value: object) -> Code:
    """The expression that evaluates to `value`: numbers, strings, tuples, lists, dicts, slices and torch's constants.

    Raises HG402 for anything else.
    """
    if value is None or value is ... or isinstance(value, bool):
        return Code("..." if value is ... else repr(value))
    if isinstance(value, int):
        return Code(repr(int(value)))
    if isinstance(value, float):
        return number(float(value))
    if isinstance(value, complex):
        return Code(f"complex({number(value.real)}, {number(value.imag)})")
    if isinstance(value, str):
        return string(value)
    if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
        return Code(str(value))
    if isinstance(value, type) and value in TYPES:
        return Code(TYPES[value])
    if isinstance(value, type(torch.FloatTensor)):
        return Code(str(value.dtype))
    if isinstance(value, torch.device):
        return string(str(value))
    if isinstance(value, slice):
        return Code(f"slice({literal(value.start)}, {literal(value.stop)}, {literal(value.step)})")
    if isinstance(value, tuple):
        return Code(f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})")
    if isinstance(value, list):
        return Code(f"[{', '.join(map(literal, value))}]")
    if isinstance(value, dict):
        return Code("{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}")
    raise HyperGenError(
        "HG402",
        f"a value of type {type(value).__name__} stands in the model's calls and has no literal form",
        remedy="Pass it as an input of the entry point, or compute it from numbers inside the model.",
    )


def number(value: float) -> Code:
    if math.isnan(value) or math.isinf(value):
        return Code(f'float("{value}")')
    return Code(repr(value))


def string(value: str) -> Code:
    """ASCII, in double quotes, whatever the text holds."""
    body = value.encode("unicode_escape").decode("ascii")  # escapes newlines, control characters and backslashes
    return Code('"' + body.replace('"', '\\"') + '"')


def indexed_literal(before: str, variable: str, after: str) -> Code:
    """The f-string of a name with an index in it: `f"blocks.{i}.weight"`."""
    head, tail = (string(part)[1:-1].replace("{", "{{").replace("}", "}}") for part in (before, after))
    return Code(f'f"{head}{{{variable}}}{tail}"')


def tensor_literal(value: torch.Tensor) -> Code:
    """`torch.tensor(...)`, or torch.zeros/ones/full where every element is the same."""
    dtype = "" if value.dtype == torch.get_default_dtype() else f", dtype={value.dtype}"
    shape = literal(tuple(value.shape))
    first = value.flatten()[0].item() if value.numel() else 0
    if value.numel() != 1 and (value == first).all():
        if first in (0, 1) and not isinstance(first, bool):
            return Code(f"torch.{'ones' if first else 'zeros'}({shape}{dtype})")
        return Code(f"torch.full({shape}, {literal(first)}{dtype})")
    if value.dtype in (torch.int64, torch.bool):
        dtype = ""
    return Code(f"torch.tensor({literal(value.tolist())}{dtype})")
