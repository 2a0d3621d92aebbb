"""Functions that make tensors from numbers: they get the device of what the function works on."""

from __future__ import annotations

from dataclasses import replace

import torch

from hypergen_compiler.ops.expression import UNKNOWN, Expression
from hypergen_compiler.ops.registry import Invocation, call_text, prints, receiver
from hypergen_compiler.ops.shapes import spread

__all__ = ["CREATION"]

CREATION = (
    "arange bartlett_window blackman_window empty empty_strided eye full hamming_window hann_window kaiser_window "
    "linspace logspace ones rand randint randn randperm range scalar_tensor tensor as_tensor tril_indices triu_indices "
    "zeros normal"
).split()
RANGES = {"torch.arange": ("start", "end"), "torch.randint": ("low", "high", "size")}  # the first is 0 by default
SIZED = frozenset(f"torch.{name}" for name in "empty ones rand randn zeros".split())


@prints(*(f"torch.{name}" for name in CREATION))
def print_creation(call: Invocation) -> Expression:
    extra = (f"device={call.device}",) if call.device and not call.takes_tensors else ()
    if call.name in RANGES:
        call = with_plain_range(call, RANGES[call.name])
    elif call.name in SIZED:
        call = spread(call, 0)
    return call_text(call, call.name, extra=extra)


def with_plain_range(call: Invocation, names: tuple[str, ...]) -> Invocation:
    """`arange(8)` for `arange(start=0, end=8)`; a float 0 stays, since it makes the numbers floats."""
    args, kwargs = list(call.args), dict(call.kwargs)
    if len(args) > len(names):
        return replace(call, args=[replace(args[0], value=UNKNOWN), *args[1:]])  # before a step it is written out
    if "step" in kwargs:
        return call
    args += [kwargs.pop(name) for name in names if name in kwargs]
    if len(args) == len(names) and type(args[0].value) is int and args[0].value == 0:
        args = args[1:]
    return replace(call, args=args, kwargs=kwargs)


@prints("torch._grouped_mm", "torch._standard_gamma", "torch._weight_norm")
def print_nameless(call: Invocation) -> Expression:
    """What mixtures of experts of transformers, torch's Gamma and its weight_norm call without public names."""
    return call_text(call, call.name)


@prints("Tensor.to")
def print_move(call: Invocation) -> Expression:
    """Where a tensor lives is the caller's business: of `.to(device, dtype)` only the type is kept."""
    kept = [argument for argument in call.args if not isinstance(argument.value, torch.device | str)]
    return call_text(replace(call, args=kept), f"{receiver(call.args[0])}.to", skip_first=True)
