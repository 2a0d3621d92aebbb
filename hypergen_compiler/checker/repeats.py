"""Loops: unrolled again, the first iteration's items must give all the items that were recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold import Column, Const, Loop, Part, Region, Weight, plan_loops
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.leaves import Leaf

__all__ = ["check_loops"]

ROUNDING = 1e-14  # of the largest number of a progression of floats


def check_loops(region: Region, records: Mapping[str, Records]) -> Iterator[Violation]:
    """The plan of a region covers its body once, in order, and each loop is the items that it stands for."""
    position = 0
    for part in plan_loops(region, records):
        start, end = (part.start, part.end) if isinstance(part, Loop) else (part, part + 1)
        if start != position:
            yield Violation(f"item {position} of a body is not printed, or twice")
        position = end
        if isinstance(part, Loop):
            yield from check_loop(region, part, records)
    if position != len(region.body):
        yield Violation(f"item {position} of a body is not printed")


def check_loop(region: Region, loop: Loop, records: Mapping[str, Records]) -> Iterator[Violation]:
    body = region.body
    first = {
        out: (step, place) for step in range(loop.period) for place, out in enumerate(body[loop.start + step].outs)
    }
    for turn in range(loop.count):
        for step in range(loop.period):
            item, recorded = body[loop.start + step], body[loop.start + turn * loop.period + step]
            if (item.key, item.grad) != (recorded.key, recorded.grad):
                yield Violation(f"iteration {turn} of a loop makes another call than its first")
                return
            for number, leaf in enumerate(recorded.leaves):
                wanted = unrolled(region, loop, turn, (step, number), first)
                if not is_same(wanted, leaf, region, records):
                    yield Violation(f"iteration {turn} of a loop reads {leaf!r}, and would read {wanted!r}")
    yield from check_later(region, loop)


def unrolled(region: Region, loop: Loop, turn: int, where: tuple[int, int], first: dict[Any, tuple[int, int]]) -> Any:
    """What stands at (item, leaf) of an iteration, by what the loop says."""
    own = region.body[loop.start + where[0]].leaves[where[1]]
    place = loop.places.get(where)
    if place is None:
        return made(region, loop, turn, first[own]) if own in first else own
    kind, what, *more = place
    if kind == "carried":
        return made(region, loop, turn - 1, first[what]) if turn else loop.carried[what]
    return column_value(what, turn, more[0])


def made(region: Region, loop: Loop, turn: int, origin: tuple[int, int]) -> Any:
    return region.body[loop.start + turn * loop.period + origin[0]].outs[origin[1]]


def column_value(column: Column, turn: int, more: tuple[Any, ...]) -> Any:
    if column.kind == "index":
        return Const(more[0] + more[1] * turn)
    if column.kind in ("w", "state"):
        return (column.kind, (*column.prefix, column.values[turn], *more))
    return column.values[turn]


def is_same(wanted: Any, leaf: Leaf, region: Region, records: Mapping[str, Records]) -> bool:
    if isinstance(wanted, Const) and isinstance(leaf, Const):
        if wanted.key() == leaf.key() or wanted.value == leaf.value:
            return True
        real = isinstance(wanted.value, float) and isinstance(leaf.value, float)
        return real and abs(wanted.value - leaf.value) <= ROUNDING * max(1.0, abs(leaf.value))
    if isinstance(leaf, Weight | Part) and isinstance(wanted, tuple) and not isinstance(wanted, Weight | Part):
        return is_within(leaf, region, records) and wanted == (leaf[0], relative_steps(leaf, region, records))
    return wanted == leaf


def check_later(region: Region, loop: Loop) -> Iterator[Violation]:
    """What is read after a loop is of its last iteration, or gathered from all of them."""
    inner = region.body[loop.start : loop.end - loop.period]
    earlier = {out for item in inner for out in item.outs}
    gathered = {value for values in loop.gathered.values() for value in values}
    later = {leaf for item in region.body[loop.end :] for leaf in item.leaves if not isinstance(leaf, Const)}
    if (earlier & (later | set(region.results))) - gathered:
        yield Violation("something behind a loop reads what an earlier iteration made")
