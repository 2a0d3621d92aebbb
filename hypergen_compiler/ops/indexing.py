"""Reading and writing parts of tensors."""

from __future__ import annotations

from hypergen_compiler.ops.expression import ATOM, Expression, parenthesized
from hypergen_compiler.ops.registry import Invocation, prints

__all__: list[str] = []


def subscript(index: Expression) -> str:
    """A tuple index without its parentheses."""
    if index.items and index.text.startswith("("):
        return ", ".join(item.text for item in index.items) + ("," if len(index.items) == 1 else "")
    return index.text


@prints("Tensor.__getitem__")
def print_getitem(call: Invocation) -> Expression:
    return Expression(f"{parenthesized(call.args[0], ATOM)}[{subscript(call.args[1])}]")


@prints("Tensor.__setitem__")
def print_setitem(call: Invocation) -> Expression:
    return Expression(f"{parenthesized(call.args[0], ATOM)}[{subscript(call.args[1])}] = {call.args[2].text}", 0)


@prints("Tensor.__iter__")
def print_iteration(call: Invocation) -> Expression:
    return Expression(f"{parenthesized(call.args[0], ATOM)}.unbind()")
