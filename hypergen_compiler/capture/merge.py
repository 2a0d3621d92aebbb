"""Three runs at three batch sizes to one tape whose numbers say how they follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NoReturn

from hypergen_compiler.capture.tape import Call, Ref, Tape, same_values
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Affine, Container, Extent, Ratio

__all__ = ["follow", "merge_batches", "merge_outputs", "merge_sizes"]


class Mismatch(Exception):
    """Values of several runs that no rule explains."""


def merge_batches(tapes: Sequence[Tape], sizes: Sequence[int], entry: str) -> Tape:
    """The first tape, with every number that differs between the runs as an `Affine` or a `Ratio` of the batch size.

    Raises HG203 for a number that follows the batch in another way and HG204 where the runs differ otherwise.
    """
    first = tapes[0]
    check_same_calls(tapes, sizes, entry)
    for calls in zip(*(tape.calls for tape in tapes), strict=True):
        try:
            calls[0].args = unify([call.args for call in calls], sizes)
            calls[0].kwargs = unify([call.kwargs for call in calls], sizes)
        except Mismatch as mismatch:
            refuse(mismatch, calls[0], entry)
    for ref, value in first.constants.items():
        others = [tape.constants.get(ref) for tape in tapes[1:]]
        if any(other is None or not same_values(other, value) for other in others):
            raise HyperGenError(
                "HG204",
                f"{entry} uses a tensor made outside of recorded calls (from numpy, say) that changes with the batch",
                where=first.constant_places.get(ref),
                remedy="Make it with torch functions from the inputs, or pass it as an input.",
            )
    for ref, shape in first.shapes.items():
        shapes = [tape.shapes.get(ref, ()) for tape in tapes]
        if all(len(other) == len(shape) for other in shapes):
            first.shapes[ref] = tuple(dimension(column, sizes) for column in zip(*shapes, strict=True))
    return first


def merge_outputs(tapes: Sequence[Tape], sizes: Sequence[int], entry: str, where: str | None) -> Any:
    """What the entry point returns, whose numbers may follow the batch. Raises HG206 where they change otherwise."""
    try:
        return unify([tape.out for tape in tapes], sizes)
    except Mismatch as mismatch:
        raise HyperGenError(
            "HG206",
            f"{entry} returns a value that changes from run to run: {str(list(mismatch.args[0]))[:120]}",
            where=where,
            remedy="Return tensors (no `.item()`, `float()` or numpy), always in the same structure.",
        ) from None


def check_same_calls(tapes: Sequence[Tape], sizes: Sequence[int], entry: str) -> None:
    for tape, size in zip(tapes[1:], sizes[1:], strict=True):
        pairs = zip(tapes[0].calls, tape.calls, strict=False)
        apart = next((pair for pair in pairs if pair[0].name != pair[1].name), None)
        if apart is None and len(tape.calls) == len(tapes[0].calls):
            continue
        where = apart[0].where if apart else (tapes[0].calls or tape.calls)[-1].where
        raise HyperGenError(
            "HG204",
            f"{entry} makes other calls for a batch of {size} than for {sizes[0]}",
            where=where,
            remedy="Control flow must depend on shapes alone: replace branches on values by torch.where, and loops "
            "whose length depends on the data or the batch by a fixed number of steps.",
        )


def merge_sizes(usual: Tape, others: Sequence[Tape], points: Sequence[tuple[int, int]]) -> bool:
    """Lets the numbers of a tape merged over batch sizes follow a second size too, of which `others` are runs.

    `points` are (batch, size) of the usual run and of the others. Nothing is changed and False returned where the runs
    are different programs: the size is then fixed.
    """
    if any([call.name for call in tape.calls] != [call.name for call in usual.calls] for tape in others):
        return False
    try:
        found = [
            (extend((call.args, call.kwargs), [(other.args, other.kwargs) for other in row], points))
            for call, *row in zip(usual.calls, *(tape.calls for tape in others), strict=True)
        ]
        shapes = {
            ref: extend(shape, [tape.shapes[ref] for tape in others], points) for ref, shape in usual.shapes.items()
        }
        for ref, value in usual.constants.items():
            if any(not same_values(value, tape.constants[ref]) for tape in others):
                return False
        out = extend(usual.out, [tape.out for tape in others], points)
    except (Mismatch, KeyError):
        return False
    for call, (args, kwargs) in zip(usual.calls, found, strict=True):
        call.args, call.kwargs = args, kwargs
    usual.shapes, usual.out = shapes, out
    return True


def extend(merged: Any, others: Sequence[Any], points: Sequence[tuple[int, int]]) -> Any:
    """A structure merged over batch sizes with the same structure from runs at other sizes; raises Mismatch."""
    if isinstance(merged, Affine | Extent | Ratio) or type(merged) is int:
        return extend_number(merged, others, points)
    if isinstance(merged, slice):
        parts = ("start", "stop", "step")
        return slice(*(extend(getattr(merged, p), [getattr(o, p) for o in others], points) for p in parts))
    if isinstance(merged, Container):
        return replace(merged, values=extend(merged.values, [other.values for other in others], points))
    if isinstance(merged, tuple | list) and not isinstance(merged, Ref):
        if any(len(other) != len(merged) for other in others):
            raise Mismatch([merged, *others])
        items = [extend(item, [other[k] for other in others], points) for k, item in enumerate(merged)]
        return type(merged)(*items) if hasattr(merged, "_fields") else type(merged)(items)
    if isinstance(merged, dict):
        return {key: extend(item, [other[key] for other in others], points) for key, item in merged.items()}
    follow([merged, *others], [n for n, _ in points])
    return merged


def extend_number(merged: Any, others: Sequence[Any], points: Sequence[tuple[int, int]]) -> Any:
    at_usual = [at(merged, n) for n, _ in points]
    if all(type(o) is type(v) and abs(o - v) <= 1e-12 * abs(v) for o, v in zip(others, at_usual[1:], strict=True)):
        return merged
    if isinstance(merged, Ratio | Extent) or any(type(other) is not int for other in others):
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
    return merged.at(n) if isinstance(merged, Affine | Ratio) else merged


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


def refuse(mismatch: Mismatch, call: Call, entry: str) -> NoReturn:
    values = mismatch.args[0]
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise HyperGenError(
            "HG203",
            f"{entry} passes {list(values)} to {call.name} for three batch sizes: no linear function of the batch size",
            where=call.where,
            remedy="Let sizes follow the batch (`x.shape[0]`, -1), or fix them.",
        )
    raise HyperGenError(
        "HG204",
        f"{entry} passes a value to {call.name} that changes from run to run: {str(list(values))[:120]}",
        where=call.where,
        remedy="Keep it a tensor (no `.item()`, `float()` or numpy), or pass it as an input of the entry point.",
    )


def unify(values: Sequence[Any], sizes: Sequence[int]) -> Any:
    """One structure for the structures of all runs; raises Mismatch."""
    first = values[0]
    if isinstance(first, Ref):
        if any(value != first for value in values):
            raise Mismatch(values)
        return first
    if isinstance(first, slice):
        return slice(*(unify([getattr(v, part) for v in values], sizes) for part in ("start", "stop", "step")))
    if isinstance(first, Container):
        if any(value != first for value in values):
            raise Mismatch(values)
        return replace(first, values=unify([value.values for value in values], sizes))
    if isinstance(first, tuple | list):
        if any(type(value) is not type(first) or len(value) != len(first) for value in values):
            raise Mismatch(values)
        items = [unify(column, sizes) for column in zip(*values, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if isinstance(first, dict):
        if any(value.keys() != first.keys() for value in values):
            raise Mismatch(values)
        return {key: unify([value[key] for value in values], sizes) for key in first}
    return follow(values, sizes)


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
        for form in POWERS_OF_THE_BATCH:
            extent = fitted(form, values, [(size, 1) for size in sizes])
            if extent is not None:
                return extent
    if all(type(value) is float for value in values):
        ratio = Ratio(values[0] * sizes[0])
        if all(abs(ratio.at(size) - value) <= 1e-12 * abs(value) for size, value in zip(sizes, values, strict=True)):
            return ratio
    if not isinstance(first, int | float | complex | str) and all(type(value) is type(first) for value in values):
        return first  # a generator, a module: the same kind of object in every run
    raise Mismatch(values)


def dimension(values: Sequence[int], sizes: Sequence[int]) -> int | Affine:
    try:
        found = follow(values, sizes)
    except Mismatch:
        return values[0]
    return values[0] if isinstance(found, Extent) else found


def equal(one: Any, other: Any) -> bool:
    if one is other or (isinstance(one, float) and one != one and other != other):
        return True
    try:
        return bool(one == other)
    except (RuntimeError, ValueError, TypeError):
        return False
