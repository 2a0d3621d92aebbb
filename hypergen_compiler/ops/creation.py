"""Functions that make tensors from numbers: they get the device of what the function works on."""

from __future__ import annotations

from dataclasses import replace

import torch

from hypergen_compiler.ops.expression import Expression
from hypergen_compiler.ops.registry import Invocation, call_text, prints, receiver

__all__ = ["CREATION"]

CREATION = (
    "arange bartlett_window blackman_window empty empty_strided eye full hamming_window hann_window kaiser_window "
    "linspace logspace ones rand randint randn randperm range scalar_tensor tensor as_tensor tril_indices triu_indices "
    "zeros normal"
).split()


@prints(*(f"torch.{name}" for name in CREATION))
def print_creation(call: Invocation) -> Expression:
    extra = (f"device={call.device}",) if call.device and not call.takes_tensors else ()
    return call_text(call, call.name, extra=extra)


@prints("torch._standard_gamma", "torch._weight_norm")
def print_nameless(call: Invocation) -> Expression:
    """What torch.distributions.Gamma and torch's weight_norm call, for which torch has no public names."""
    return call_text(call, call.name)


@prints("Tensor.to")
def print_move(call: Invocation) -> Expression:
    """Where a tensor lives is the caller's business: of `.to(device, dtype)` only the type is kept."""
    kept = [argument for argument in call.args if not isinstance(argument.value, torch.device | str)]
    return call_text(replace(call, args=kept), f"{receiver(call.args[0])}.to", skip_first=True)
