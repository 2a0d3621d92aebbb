"""Numbers that a model computes before it runs, as the formulas that they came from: `math.sqrt(8)`, not 2.828...

A formula stands for a number only where it gives every bit of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch

__all__ = ["PRODUCT", "Formula", "formula"]

ATOM, PRODUCT, POWER, SUM = 100, 12, 14, 11  # how tightly a formula binds, as in Python's grammar
FEWEST_DIGITS = 12  # shorter numbers were written as they are
LARGEST = 10**6
EPSILON = torch.finfo(torch.float32).eps
KNOWN = {
    EPSILON: ("torch.finfo(torch.float32).eps", ATOM),
    1 - EPSILON: ("1 - torch.finfo(torch.float32).eps", SUM),
    math.pi: ("math.pi", ATOM),
    2 * math.pi: ("2 * math.pi", PRODUCT),
    math.sqrt(2 / math.pi): ("math.sqrt(2 / math.pi)", ATOM),
    math.sqrt(2 * math.pi): ("math.sqrt(2 * math.pi)", ATOM),
}


class Formula(NamedTuple):
    """An expression and how tightly it binds."""

    text: str
    precedence: int


def formula(value: float) -> Formula | None:
    """The formula of a positive number, or None where it is no square root, logarithm or known constant."""
    if not math.isfinite(value) or value <= 0 or len(repr(value)) < FEWEST_DIGITS:
        return None
    if value in KNOWN:
        return Formula(*KNOWN[value])
    return next((Formula(text, precedence) for made, text, precedence in candidates(value) if made == value), None)


def candidates(value: float) -> Iterator[tuple[float, str, int]]:
    """What might be meant, with the number that it gives."""
    square = round(value * value)
    if 2 <= square <= LARGEST:
        yield math.sqrt(square), f"math.sqrt({square})", ATOM
    inverse = round(1 / value / value) if value < 1 else 0
    if 2 <= inverse <= LARGEST:
        yield 1 / math.sqrt(inverse), f"1 / math.sqrt({inverse})", PRODUCT
        yield inverse**-0.5, f"{inverse}**-0.5", POWER
    number = round(math.exp(value)) if value < math.log(LARGEST) else 0
    if number >= 2:
        yield math.log(number), f"math.log({number})", ATOM
    halves = round(2 * value / math.log(2 * math.pi))
    if 1 <= halves <= LARGEST:
        factor = str(halves // 2) if halves % 2 == 0 else str(halves / 2)
        made = (halves // 2 if halves % 2 == 0 else halves / 2) * math.log(2 * math.pi)
        yield made, "math.log(2 * math.pi)" if halves == 2 else f"{factor} * math.log(2 * math.pi)", PRODUCT
    parts = round(math.log(10000) / value)
    if 2 <= parts <= LARGEST:  # sinusoidal embeddings
        yield math.log(10000) / parts, f"math.log(10000) / {parts}", PRODUCT
