"""Repeated runs of a body to loops.

A period of items that repeats is a loop when every leaf of it is, over the iterations, one of: made in the same
iteration, carried over from the one before, always the same, or a column: weights that differ in one step of their
path, numbers, or values. Results used later come from the last iteration, or are gathered in order into one list.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypergen_compiler.capture.steps import Iteration, Repetition
from hypergen_compiler.emit.records import Records
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.fold.items import Call, Item, Operation, Region
from hypergen_compiler.fold.loop import Column, Loop
from hypergen_compiler.fold.search import Search

__all__ = ["Column", "Loop", "plan_loops"]

LONGEST_PERIOD = 40
SAVED_CALLS = 6  # a loop without calls of functions must save more than these statements


def plan_loops(region: Region, records: dict[str, Records]) -> list[int | Loop]:
    """Positions and loops that cover a body in order; at each place the longest loop that holds."""
    body, plan, position = region.body, [], 0
    while position < len(body):
        iteration = body[position].iteration
        if iteration is not None and runs_here(body, iteration):
            loop = shortened_loop(region, position, iteration, records)
        else:
            loop = longest_loop(region, position, records)
        plan.append(position if loop is None else loop)
        position = position + 1 if loop is None else loop.end
    return plan


def shortened_loop(region: Region, start: int, first: Iteration, records: dict[str, Records]) -> Loop:
    """The loop of which `steps` recorded a few iterations. Raises HG204 where they are not alike."""
    body, lengths = region.body, []
    position = start
    while position < len(body) and is_part_of(body[position].iteration, first.repetition):
        number = body[position].iteration.number
        lengths += [0] * (number + 1 - len(lengths))
        lengths[number] += 1
        position += 1
    period, count = lengths[0], len(lengths)
    alike = set(lengths) == {period} and repetitions(body, start, period) >= count
    loop = Search(region, start, period, count, records, shortened=True).find() if alike else None
    if loop is None or loop.gathered or any(c.kind != "index" for c in loop.columns):
        where = body[start].node.meta["where"] if isinstance(body[start], Operation) else body[start].region.scope.where
        raise HyperGenError(
            "HG204",
            "the iterations of a loop over hypergen.steps are not alike",
            where=where,
            remedy="Let them differ in numbers that follow the index linearly and in what is carried over; "
            "put other numbers into a tensor and index it.",
        )
    loop.repeated = first.repetition.count
    return loop


def runs_here(body: Sequence[Item], first: Iteration) -> bool:
    """Whether the loop itself is in this body, and not around a call of it."""
    return any(is_part_of(item.iteration, first.repetition) and item.iteration != first for item in body)


def is_part_of(iteration: Iteration | None, repetition: Repetition) -> bool:
    return iteration is not None and iteration.repetition is repetition


def longest_loop(region: Region, start: int, records: dict[str, Records]) -> Loop | None:
    body, best = region.body, None
    for period in range(1, min(LONGEST_PERIOD, (len(body) - start) // 2) + 1):
        count = repetitions(body, start, period)
        calls = any(isinstance(item, Call) for item in body[start : start + period])
        while count >= 2:
            if not worthwhile(period, count, calls):
                break
            loop = Search(region, start, period, count, records).find()
            if loop is not None:
                if saved_lines(loop) < 1:
                    break
                if best is None or loop.period * loop.count > best.period * best.count:
                    best = loop
                break
            count -= 1
    return best


def worthwhile(period: int, count: int, calls: bool) -> bool:
    saved = period * count - period - 1
    return saved >= (1 if calls else SAVED_CALLS) or (period == 1 and calls)


def saved_lines(loop: Loop) -> int:
    """Statements that a loop saves, less the lines of its head: what is listed one by one takes a line each."""
    listed = sum(not is_indexed(column) for column in loop.columns)
    head = listed if listed < 2 else listed + 3  # several do not fit into one line
    head += any(column.kind == "value" for column in loop.columns)  # what the user's own loop has no list of
    return loop.period * (loop.count - 1) - head


def is_indexed(column: Column) -> bool:
    """Whether a column runs over a range, or over elements of a tuple."""
    return column.kind == "index" or (column.kind in ("w", "state") and isinstance(column.values[0], int))


def repetitions(body: Sequence[Item], start: int, period: int) -> int:
    count = 1
    while start + (count + 1) * period <= len(body) and all(
        alike(body[start + count * period + step], body[start + step]) for step in range(period)
    ):
        count += 1
    return count


def alike(one: Item, other: Item) -> bool:
    return one.key == other.key and one.grad == other.grad
