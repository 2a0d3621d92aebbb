"""Numbers of several runs to what they follow: the batch size, a second size, or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from hypergen_compiler.program import TERMS, Affine, Curve, Extent, Half

__all__ = ["FORMS", "Mismatch", "curves", "dimension", "extend_number", "fitted", "follow"]

PRECISION = 1e-12
ROUND_DIGITS, EXACT_DIGITS = 12, 17  # a number is taken for the short one that it is within rounding of


class Mismatch(Exception):
    """Values of several runs that no rule explains."""


def follow(values: Sequence[Any], sizes: Sequence[int]) -> Any:
    """One plain value: constant over the runs, or a function of the batch size; raises Mismatch."""
    first = values[0]
    if all(type(value) is type(first) and equal(value, first) for value in values):
        return first
    if all(type(value) is int for value in values):
        slope, left = divmod(values[0] - values[1], sizes[0] - sizes[1])
        line = Affine(slope, values[0] - slope * sizes[0])
        if left == 0 and all(line.at(size) == value for size, value in zip(sizes, values, strict=True)):
            return line
        for half in (Half(), Half(other=True)):
            if all(half.at(size) == value for size, value in zip(sizes, values, strict=True)):
                return half
        for form in POWERS_OF_THE_BATCH:
            extent = fitted(form, values, [(size, 1) for size in sizes])
            if extent is not None:
                return extent
    if all(type(value) is float for value in values):
        curve = next(curves(values, sizes), None)
        if curve is not None:
            return curve
    if not isinstance(first, int | float | complex | str) and all(type(value) is type(first) for value in values):
        return first  # a generator, a module: the same kind of object in every run
    raise Mismatch(values)


def curves(values: Sequence[float], sizes: Sequence[int]) -> Iterator[Curve]:
    """The curves through all values, those through the origin first; three runs leave none to coincidence."""
    if not all(map(math.isfinite, values)) or len(set(sizes)) < len(sizes):
        return
    shapes = [(term, inverse) for term in TERMS for inverse in (False, True) if not (inverse and "log" in term)]
    for shifted in (False, True):
        for term, inverse in shapes:
            at = [Curve(term, 1.0, inverse=inverse).at(size) for size in sizes]
            scale = (values[0] - values[1]) / (at[0] - at[1]) if shifted else values[0] / at[0]
            offset = values[0] - scale * at[0] if shifted else 0.0
            for digits in (ROUND_DIGITS, EXACT_DIGITS):
                curve = Curve(term, rounded(scale, digits), rounded(offset, digits), inverse)
                if all(is_through(curve, size, value) for size, value in zip(sizes, values, strict=True)):
                    yield curve


def is_through(curve: Curve, size: int, value: float) -> bool:
    return abs(curve.at(size) - value) <= PRECISION * max(abs(value), abs(curve.offset))


def rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def dimension(values: Sequence[int], sizes: Sequence[int]) -> int | Affine:
    try:
        found = follow(values, sizes)
    except Mismatch:
        return values[0]
    return values[0] if isinstance(found, Extent | Half) else found


def equal(one: Any, other: Any) -> bool:
    if one is other or (isinstance(one, float) and one != one and other != other):
        return True
    try:
        return bool(one == other)
    except (RuntimeError, ValueError, TypeError):
        return False


def extend_number(merged: Any, others: Sequence[Any], points: Sequence[tuple[int, int]]) -> Any:
    at_usual = [at(merged, n) for n, _ in points]
    if all(type(o) is type(v) and abs(o - v) <= 1e-12 * abs(v) for o, v in zip(others, at_usual[1:], strict=True)):
        return merged
    if isinstance(merged, Curve | Half | Extent) or any(type(other) is not int for other in others):
        raise Mismatch([merged, *others])
    values = [at_usual[0], *others]
    for form in (form for form in FORMS if len(form) < len(points)):  # as many runs as powers would fit anything
        extent = fitted(form, values, points)
        if extent is not None and (not isinstance(merged, int) or all(i == 0 for (i, _), _ in extent.terms)):
            return extent
    raise Mismatch([merged, *others])


def at(merged: Any, n: int) -> Any:
    if isinstance(merged, Extent):
        return int(merged.at(n, 1))
    return merged.at(n) if isinstance(merged, Affine | Curve | Half) else merged


POWERS_OF_THE_BATCH = (((2, 0),), ((2, 0), (1, 0)))  # pairs of items, with themselves or without
# Powers of (n, s) that a number may be made of, the simplest first.
FORMS = (
    ((0, 1),),
    ((0, 1), (0, 0)),
    ((1, 1),),
    ((0, 2),),
    ((1, 2),),
    ((1, 1), (1, 0)),
    ((0, 2), (0, 1), (0, 0)),
)


def fitted(form: Sequence[tuple[int, int]], values: Sequence[int], points: Sequence[tuple[int, int]]) -> Extent | None:
    """The one combination of the form's powers that gives all values, or None."""
    rows = [
        [Fraction(n**i * s**j) for i, j in form] + [Fraction(value)]
        for (n, s), value in zip(points, values, strict=True)
    ]
    width = len(form)
    for column in range(width):
        pivot = next((r for r in range(column, len(rows)) if rows[r][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [entry / rows[column][column] for entry in rows[column]]
        for r in range(len(rows)):
            if r != column and rows[r][column]:
                rows[r] = [a - rows[r][column] * b for a, b in zip(rows[r], rows[column], strict=True)]
    if any(row[-1] for row in rows[width:]):
        return None
    terms = tuple((power, rows[k][-1]) for k, power in enumerate(form) if rows[k][-1])
    return Extent(terms, values[0])
