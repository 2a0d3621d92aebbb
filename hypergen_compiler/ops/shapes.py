"""Methods and functions that take sizes or dimensions: `x.reshape(n, 2, 8)`, not `x.reshape((n, 2, 8))`."""

from __future__ import annotations

from dataclasses import replace

from hypergen_compiler.ops.expression import Expression
from hypergen_compiler.ops.registry import Invocation, print_plain, prints

__all__ = ["spread"]

METHODS = "view reshape expand permute repeat new_zeros new_ones new_empty flip tile"


def spread(call: Invocation, place: int) -> Invocation:
    """The call with the elements of its last positional argument, a tuple or list at `place`, in its place."""
    if len(call.args) != place + 1:
        return call
    items = call.args[place].items
    if not items or any(not item.text or item.items for item in items):
        return call
    return replace(call, args=[*call.args[:place], *items])


@prints(*(f"Tensor.{name}" for name in METHODS.split()))
def print_sized_method(call: Invocation) -> Expression:
    return print_plain(spread(call, 1))
