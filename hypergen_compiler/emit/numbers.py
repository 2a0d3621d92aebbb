"""Numbers as expressions: literals, formulas, and what follows the batch, a second size, the mode or a loop."""

from __future__ import annotations

import math
from typing import Any

from hypergen_compiler.emit.formulas import PRODUCT, formula
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.ops import ATOM, Expression
from hypergen_compiler.ops.expression import UNARY, literal_expression
from hypergen_compiler.program import Affine, Choice, Curve, Extent, Half

__all__ = ["extent_expression", "number_expression", "progression_expression"]

ROUNDED = 1e-11  # by how much of itself a number of twelve digits, as curves have, may be off


def number_expression(value: Any, size_name: str) -> Expression:
    """A number as the user would write it: plain, following the batch or a second size, or depending on the mode."""
    if isinstance(value, Affine):
        return line_expression("n", value.offset, value.slope)
    if isinstance(value, Extent):
        return extent_expression(value, size_name)
    if isinstance(value, Half):
        return Expression("n - n // 2", 11) if value.other else Expression("n // 2", 12)
    if isinstance(value, Curve):
        return curve_expression(value)
    if isinstance(value, Choice):
        if value == Choice(True, False):
            return Expression("training")
        if value == Choice(False, True):
            return Expression("not training", 5)
        return Expression(f"{literal(value.training)} if training else {literal(value.evaluation)}", 1)
    meant = formula(abs(value)) if isinstance(value, float) else None
    if meant is None:
        return literal_expression(value)
    text, precedence = meant
    if value > 0:
        return Expression(text, precedence, value)
    inner = text if precedence > UNARY or precedence == PRODUCT else f"({text})"
    return Expression(f"-{inner}", min(precedence, UNARY), value)


def curve_expression(curve: Curve) -> Expression:
    """`n / 10`, `0.5 / n`, `math.log(60000 * n)`, `1 / (n - 1) - 0.001`."""
    term, scale = curve.term, abs(curve.scale)
    inside = math.copysign(1, curve.scale) * curve.offset
    factor = round(math.exp(inside)) if term == "math.log(n)" and scale == 1 and 0 < inside < 50 else 0
    if factor and math.isclose(math.log(factor), inside, rel_tol=ROUNDED):
        text = f"math.log({factor} * n)"
        return Expression(text, ATOM) if curve.scale > 0 else Expression(f"-{text}", UNARY)
    inner = f"({term})" if "-" in term or (curve.inverse and " " in term) else term
    divisor = round(1 / scale) if 0 < scale < 1 else 0
    if curve.inverse:
        text = f"{whole(scale)} / {inner}"
    elif divisor and 1 / divisor == scale:
        text = f"{inner} / {divisor}"
    elif scale == 1:
        text = term if term.startswith("math.") else f"float({term})"
    else:
        text = f"{literal(scale)} * {inner}"
    if curve.scale < 0 < curve.offset:
        return Expression(f"{whole(curve.offset)} - {text}", 11)
    text = f"-{text}" if curve.scale < 0 else text
    if not curve.offset:
        return Expression(text, PRODUCT if " " in text else UNARY if curve.scale < 0 else ATOM)
    return Expression(f"{text} {'+' if curve.offset > 0 else '-'} {whole(abs(curve.offset))}", 11)


def whole(value: float) -> str:
    """A float as the integer that it is, beside a division that makes a float of it anyway."""
    return str(int(value)) if value.is_integer() and value < 10**6 else literal(value)


def extent_expression(extent: Extent, size: str) -> Expression:
    """`n * length`, `side // 2`, `length + 1`."""
    texts = []
    for (batches, sizes), coefficient in extent.terms:
        factors = ["n"] * batches + [size] * sizes
        if abs(coefficient.numerator) != 1 or not factors:
            factors.insert(0, str(abs(coefficient.numerator)))
        text = " * ".join(factors) + (f" // {coefficient.denominator}" if coefficient.denominator != 1 else "")
        texts.append(("- " if coefficient < 0 else "+ " if texts else "") + text)
    joined = " ".join(texts)
    return Expression(joined, 11 if len(texts) > 1 else 12 if " " in joined else ATOM)


def progression_expression(variable: str, first: float, step: float) -> Expression:
    """`first + step * variable`, as short as it goes."""
    if isinstance(first, float):
        start = f"{first} " + ("-" if step < 0 else "+") if first else "-" if step < 0 else ""
        return Expression(f"{start} {abs(step)} * {variable}".lstrip(), 11)
    return line_expression(variable, first, step)


def line_expression(variable: str, first: int, step: int) -> Expression:
    """`2 * n + 4`, `3 - i`, `-n`."""
    scaled = variable if abs(step) == 1 else f"{abs(step)} * {variable}"
    if step < 0 < first:
        return Expression(f"{first} - {scaled}", 11)
    text = f"-{scaled}" if step < 0 else scaled
    if first == 0:
        return Expression(text, 12 if abs(step) != 1 else UNARY if step < 0 else ATOM)
    return Expression(f"{text} {'+' if first > 0 else '-'} {abs(first)}", 11)
