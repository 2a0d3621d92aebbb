"""An expression as text, with what is needed to nest it in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypergen_compiler.emit.literals import literal

__all__ = ["ATOM", "UNARY", "UNKNOWN", "Expression", "literal_expression", "parenthesized"]

ATOM = 100  # names, calls, subscripts: never in need of parentheses
UNARY = 13
UNKNOWN = object()


@dataclass(frozen=True)
class Expression:
    """`precedence` as in Python's grammar, `value` where the text is a literal, `items` where it is a display."""

    text: str
    precedence: int = ATOM
    value: Any = UNKNOWN
    items: tuple[Expression, ...] | None = None
    tensor: bool = False


def parenthesized(expression: Expression, precedence: int) -> str:
    """The text, in parentheses where it binds less tightly than `precedence`."""
    return expression.text if expression.precedence >= precedence else f"({expression.text})"


def literal_expression(value: Any) -> Expression:
    negative = isinstance(value, int | float) and not isinstance(value, bool) and str(value).startswith("-")
    return Expression(literal(value), UNARY if negative else ATOM, value)
