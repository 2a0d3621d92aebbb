"""Three runs at three batch sizes to one tape whose numbers say how they follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import torch

from hypergen_compiler.capture.numbers import Mismatch, dimension, extend_number, follow
from hypergen_compiler.capture.sized import made_from_sizes
from hypergen_compiler.capture.tape import Call, Ref, Tape, references, same_values
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Affine, Container, Curve, Extent, Half

__all__ = ["merge_batches", "merge_outputs", "merge_sizes"]

OF_NUMBERS = frozenset({"torch.tensor", "torch.as_tensor", "torch.asarray"})


def merge_batches(tapes: Sequence[Tape], sizes: Sequence[int], entry: str) -> Tape:
    """The first tape, with every number that differs between the runs as an `Affine` or a `Curve` of the batch size.

    Raises HG203 for a number that follows the batch in another way and HG204 where the runs differ otherwise.
    """
    first = tapes[0]
    check_same_calls(tapes, sizes, entry)
    for calls in zip(*(tape.calls for tape in tapes), strict=True):
        try:
            calls[0].args = unify([call.args for call in calls], sizes)
            calls[0].kwargs = unify([call.kwargs for call in calls], sizes)
        except Mismatch as mismatch:
            if not make_from_sizes(calls, sizes):
                refuse(mismatch, calls[0], entry)
    for ref, shape in first.shapes.items():
        shapes = [tape.shapes.get(ref, ()) for tape in tapes]
        if all(len(other) == len(shape) for other in shapes):
            first.shapes[ref] = tuple(dimension(column, sizes) for column in zip(*shapes, strict=True))
    for ref, value in list(first.constants.items()):
        others = [tape.constants.get(ref) for tape in tapes[1:]]
        if any(other is None or not same_values(other, value) for other in others):
            merge_constant(first, ref, [value, *others], sizes, entry)
    return first


def merge_constant(
    first: Tape, ref: Ref, values: Sequence[torch.Tensor | None], sizes: Sequence[int], entry: str
) -> None:
    """Makes a tensor that no recorded call made, and that follows the batch, by a call of its own."""
    made = made_from_sizes(values, sizes)
    if made is None or ref in first.aliases:
        raise HyperGenError(
            "HG204",
            f"{entry} uses a tensor made outside of recorded calls (from numpy, say) that changes with the batch",
            where=first.constant_places.get(ref),
            remedy="Make it with torch functions from the inputs, or pass it as an input.",
        )
    del first.constants[ref]
    value = first.substitute(ref)
    shapes = [item.shape for item in values if item is not None]
    first.shapes[value] = tuple(dimension(column, sizes) for column in zip(*shapes, strict=True))
    call = Call(*made, grad=False, out=value, where=first.constant_places.get(ref))
    call.scope = first.root
    first.calls.insert(0, call)


def make_from_sizes(calls: Sequence[Call], sizes: Sequence[int]) -> bool:
    """Lets a call that makes a tensor of Python's numbers follow the batch, where no argument of it does."""
    call = calls[0]
    if call.name not in OF_NUMBERS or any(references([(c.args, c.kwargs) for c in calls])):
        return False
    made = made_from_sizes([c.function(*c.args, **c.kwargs) for c in calls], sizes)
    if made is not None:
        call.function, call.name, call.args, call.kwargs = made
    return made is not None


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
    if isinstance(merged, Affine | Curve | Half | Extent) or type(merged) is int:
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
