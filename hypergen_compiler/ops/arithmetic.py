"""Arithmetic, comparison and logic: infix for plain arguments."""

from __future__ import annotations

from hypergen_compiler.ops.expression import UNARY, Expression, parenthesized
from hypergen_compiler.ops.registry import Invocation, print_plain, prints

__all__ = ["INFIX"]

POWER = 14
COMPARISON = 6
INFIX = {
    "pow": ("**", POWER),
    "mul": ("*", 12),
    "truediv": ("/", 12),
    "floordiv": ("//", 12),
    "mod": ("%", 12),
    "matmul": ("@", 12),
    "add": ("+", 11),
    "sub": ("-", 11),
    "lshift": ("<<", 10),
    "rshift": (">>", 10),
    "and": ("&", 9),
    "xor": ("^", 8),
    "or": ("|", 7),
    "lt": ("<", 6),
    "le": ("<=", 6),
    "gt": (">", 6),
    "ge": (">=", 6),
    "eq": ("==", 6),
    "ne": ("!=", 6),
}
ARITHMETIC = tuple(name for name, (_, precedence) in INFIX.items() if precedence > COMPARISON)
METHODS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "truediv",
    "true_divide": "truediv",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "matmul": "matmul",
    "pow": "pow",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
    "eq": "eq",
    "ne": "ne",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
}


def infix(left: Expression, right: Expression, operator: str) -> Expression:
    symbol, precedence = INFIX[operator]
    if precedence == POWER:  # the only one that groups from the right
        text = f"{parenthesized(left, POWER + 1)} {symbol} {parenthesized(right, UNARY)}"
    else:
        chains = precedence == COMPARISON  # `x < y < z` is no comparison of a comparison
        text = f"{parenthesized(left, precedence + chains)} {symbol} {parenthesized(right, precedence + 1)}"
    return Expression(text, precedence)


@prints(*(f"Tensor.__{name}__" for name in INFIX), *(f"Tensor.{name}" for name in METHODS))
def print_infix(call: Invocation) -> Expression:
    """`x + y`, whether the model wrote the operator or the method; a method with options stays one."""
    if call.kwargs or len(call.args) != 2:
        return print_plain(call)
    name = call.short.strip("_") if call.short.startswith("__") else METHODS[call.short]
    left, right = reversed(call.args) if call.reflected else call.args
    return infix(left, right, name)


@prints(*(f"Tensor.__r{name}__" for name in ARITHMETIC), "Tensor.rsub")
def print_reflected(call: Invocation) -> Expression:
    """`1 - x`, which Python hands to the tensor on the right."""
    if call.kwargs or len(call.args) != 2:
        return print_plain(call)
    name = "sub" if call.short == "rsub" else call.short.strip("_")[1:]
    return infix(call.args[1], call.args[0], name)


@prints(*(f"Tensor.__i{name}__" for name in ARITHMETIC))
def print_augmented(call: Invocation) -> Expression:
    """`x += y`, a statement."""
    symbol, _ = INFIX[call.short.strip("_")[1:]]
    return Expression(f"{call.args[0].text} {symbol}= {call.args[1].text}", 0)


@prints("Tensor.__neg__", "Tensor.__invert__", "Tensor.__pos__", "Tensor.neg", "Tensor.bitwise_not")
def print_unary(call: Invocation) -> Expression:
    symbol = {"invert": "~", "bitwise_not": "~", "pos": "+"}.get(call.short.strip("_"), "-")
    return Expression(symbol + parenthesized(call.args[0], UNARY), UNARY)


@prints("Tensor.__abs__")
def print_absolute(call: Invocation) -> Expression:
    return Expression(f"abs({call.args[0].text})")
