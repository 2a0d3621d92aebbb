"""Calls of a package's own `layers.py`, whose biases and gains may be those of several datasets at once."""

from __future__ import annotations

from hypergen_compiler.ops.expression import Expression
from hypergen_compiler.ops.registry import Invocation, call_text
from hypergen_compiler.plan.together import Rewrite

__all__ = ["print_rewritten"]


def print_rewritten(call: Invocation, rewrite: Rewrite) -> Expression:
    """`layers.linear(x, w.weight, w.bias)`, `layers.divide(error, w.scale, own=0)`."""
    head = f"layers.{rewrite.function}"
    if rewrite.own is None:
        return call_text(call, head)
    batch, values = call.args[rewrite.batch], call.args[1 - rewrite.batch]
    own = "" if rewrite.own == 1 else f", own={rewrite.own}"
    return Expression(f"{head}({batch.text}, {values.text}{own})")
