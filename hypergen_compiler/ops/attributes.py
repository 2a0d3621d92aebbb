"""Attributes that are tensors: `x.T`, `x.grad`, `x.data`, `x.real`."""

from __future__ import annotations

from hypergen_compiler.ops.expression import ATOM, Expression, parenthesized
from hypergen_compiler.ops.registry import Invocation, prints

__all__ = ["ATTRIBUTES"]

ATTRIBUTES = ("T", "mT", "H", "mH", "real", "imag", "data", "grad")


@prints(*(f"Tensor.{name}.__get__" for name in ATTRIBUTES))
def print_attribute(call: Invocation) -> Expression:
    return Expression(f"{parenthesized(call.args[0], ATOM)}.{call.name.split('.')[1]}")


@prints(*(f"Tensor.{name}.__set__" for name in ("data", "real", "imag", "requires_grad")))
def print_assignment(call: Invocation) -> Expression:
    return Expression(f"{parenthesized(call.args[0], ATOM)}.{call.name.split('.')[1]} = {call.args[1].text}", 0)
