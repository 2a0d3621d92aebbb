"""Repeated runs of a body to loops.

A period of items that repeats is a loop when every leaf of it is, over the iterations, one of: made in the same
iteration, carried over from the one before, always the same, or a column: weights that differ in one step of their
path, numbers, or values. Results used later come from the last iteration, or are gathered in order into one list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch.fx

from hypergen_compiler.capture.steps import Iteration, Repetition
from hypergen_compiler.emit.records import Records, Steps
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.fold.borders import relative_steps
from hypergen_compiler.fold.items import Call, Const, Item, Leaf, Operation, Part, Region, Weight, is_const

__all__ = ["Column", "Loop", "plan_loops"]

LONGEST_PERIOD = 40
MOST_COLUMNS = 6
SAVED_CALLS = 6  # a loop without calls of functions must save more than these statements


@dataclass(eq=False)
class Column:
    """What one loop variable runs over.

    `kind` is w or state (`prefix` steps to a tuple, `steps` the varying ones), index (a range), number, or value.
    """

    kind: str
    values: list[Any]
    prefix: Steps = ()
    variable: str = ""


@dataclass(eq=False)
class Loop:
    """`count` iterations of `period` items from `start`; only the first iteration's items are printed.

    `places` tells, for a leaf (item, leaf) of the first iteration, the column or carried value that stands there;
    `carried` maps a value to what it is before the first iteration; `last` maps the last iteration's values to the
    first's; `gathered` maps a first iteration's value to all of its kind. `repeated` is the number of iterations that
    the recorded ones stand for.
    """

    start: int
    period: int
    count: int
    places: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    carried: dict[torch.fx.Node, Leaf] = field(default_factory=dict)
    last: dict[torch.fx.Node, torch.fx.Node] = field(default_factory=dict)
    gathered: dict[torch.fx.Node, list[torch.fx.Node]] = field(default_factory=dict)
    repeated: int | None = None

    @property
    def turns(self) -> int:
        """How often the loop runs: more often than it was recorded where three iterations stand for all."""
        return self.repeated or self.count

    @property
    def end(self) -> int:
        return self.start + self.period * self.count


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


class NotALoop(Exception):
    """A leaf that no rule explains."""


class Search:
    """Tries one period and count; `shortened` where the iterations stand for more of their kind."""

    def __init__(
        self,
        region: Region,
        start: int,
        period: int,
        count: int,
        records: dict[str, Records],
        *,
        shortened: bool = False,
    ):
        self.shortened = shortened
        self.region, self.records, self.body = region, records, region.body
        self.loop = Loop(start, period, count)
        self.made = {
            out: (turn, step, place)
            for turn in range(count)
            for step in range(period)
            for place, out in enumerate(self.item(turn, step).outs)
        }

    def item(self, turn: int, step: int) -> Item:
        return self.body[self.loop.start + turn * self.loop.period + step]

    def find(self) -> Loop | None:
        loop = self.loop
        try:
            self.gather()
            for step in range(loop.period):
                for place in range(len(self.item(0, step).leaves)):
                    self.explain(step, place, [self.item(turn, step).leaves[place] for turn in range(loop.count)])
        except NotALoop:
            return None
        if len(loop.carried) != len(set(loop.carried.values())) or len(loop.columns) > MOST_COLUMNS:
            return None
        if is_skewed(loop.columns):
            return None
        return loop

    def gather(self) -> None:
        """Results used after the loop: of the last iteration alone, or of all iterations in order."""
        loop = self.loop
        later = set(self.region.results) | {leaf for item in self.body[loop.end :] for leaf in item.leaves}
        for out, (turn, step, place) in self.made.items():
            first = self.item(0, step).outs[place]
            if turn < loop.count - 1 and out in later and first not in loop.gathered:
                every = [self.item(other, step).outs[place] for other in range(loop.count)]
                if set(every) & set(self.region.results):
                    raise NotALoop
                for item in self.body[loop.end :]:
                    if set(every) & set(item.leaves) and not uses_in_order(item, every):
                        raise NotALoop
                loop.gathered[first] = every
            if turn == loop.count - 1:
                loop.last[out] = first

    def explain(self, step: int, place: int, leaves: list[Leaf]) -> None:
        loop, origins = self.loop, [self.made.get(leaf) for leaf in leaves]
        if is_const(leaves[0]):
            if len({leaf.key() for leaf in leaves}) > 1:
                loop.places[step, place] = self.number_column(leaves)
        elif all(origins):
            if any(origin != (turn, *origins[0][1:]) for turn, origin in enumerate(origins)):
                raise NotALoop
        elif origins[0] is None and self.is_carried(origins):
            first = self.item(0, origins[1][1]).outs[origins[1][2]]
            if loop.carried.setdefault(first, leaves[0]) != leaves[0] or origins[1][1] < step:
                raise NotALoop  # the old value must be dead when the new one is made
            loop.places[step, place] = ("carried", first)
        elif any(origins):
            raise NotALoop
        elif len(set(leaves)) > 1:
            loop.places[step, place] = self.tensor_column(leaves)

    def is_carried(self, origins: list[Any]) -> bool:
        return all(origin is not None and origin == (turn, *origins[1][1:]) for turn, origin in enumerate(origins[1:]))

    def number_column(self, leaves: list[Const]) -> tuple[Any, ...]:
        values = [leaf.value for leaf in leaves]
        line = progression(values) if len(values) > 2 or self.shortened else None
        if line is None and self.shortened:
            line = real_progression(values)
        if line is not None:
            return ("column", self.column(Column("index", [])), line)
        return ("column", self.column(Column("number", list(leaves))), ())

    def tensor_column(self, leaves: list[Leaf]) -> tuple[Any, ...]:
        kinds = {(type(leaf), leaf[0]) if isinstance(leaf, Weight | Part) else type(leaf) for leaf in leaves}
        if len(kinds) > 1:
            raise NotALoop
        if not isinstance(leaves[0], Weight | Part) or leaves[0] in self.region.arguments:
            return ("column", self.column(Column("value", list(leaves))), ())
        steps = [relative_steps(leaf, self.region, self.records) for leaf in leaves]
        if len({len(path) for path in steps}) > 1:
            raise NotALoop
        differing = [d for d, column in enumerate(zip(*steps, strict=True)) if len(set(column)) > 1]
        if len(differing) != 1 or len({path[differing[0]] for path in steps}) != len(steps):
            raise NotALoop
        depth = differing[0]
        column = Column(leaves[0][0], [path[depth] for path in steps], steps[0][:depth])
        return ("column", self.column(column), steps[0][depth + 1 :])

    def column(self, wanted: Column) -> Column:
        for known in self.loop.columns:
            if (known.kind, known.prefix) == (wanted.kind, wanted.prefix) and known.values == wanted.values:
                return known
        self.loop.columns.append(wanted)
        return wanted


def is_skewed(columns: list[Column]) -> bool:
    """Whether an iteration would use elements of one list that belong to different turns of the user's loop."""
    listed = [c for c in columns if c.kind in ("w", "state") and isinstance(c.values[0], int)]
    return any(
        (one.kind, one.prefix) == (other.kind, other.prefix) and set(one.values) & set(other.values)
        for place, one in enumerate(listed)
        for other in listed[:place]
    )


def progression(values: list[Any]) -> tuple[int, int] | None:
    """(first, difference) of plain integers in arithmetic progression."""
    if any(type(value) is not int for value in values):
        return None
    difference = values[1] - values[0]
    steady = all(later - earlier == difference for earlier, later in pairwise(values))
    return (values[0], difference) if difference and steady else None


def real_progression(values: list[Any]) -> tuple[float, float] | None:
    """(first, difference) of floats that `first + difference * i` gives, up to the last digit of the largest."""
    if any(type(value) is not float for value in values):
        return None
    difference = (values[-1] - values[0]) / (len(values) - 1)
    digit = 4e-16 * max(map(abs, values))
    for candidate in (round(difference, 12), difference):
        if candidate and all(abs(values[0] + candidate * i - value) <= digit for i, value in enumerate(values)):
            return values[0], candidate
    return None


def uses_in_order(item: Item, wanted: list[torch.fx.Node]) -> bool:
    """Whether an operation reads all of `wanted`, once, in order, inside one list."""
    if not isinstance(item, Operation) or sum(leaf in wanted for leaf in item.leaves) != len(wanted):
        return False
    return any(
        list(found[start : start + len(wanted)]) == wanted
        for argument in (*item.node.args, *item.node.kwargs.values())
        for found in lists_in(argument)
        for start in range(len(found))
    )


def lists_in(value: Any) -> list[list[Any]]:
    if isinstance(value, dict):
        return [found for item in value.values() for found in lists_in(item)]
    if isinstance(value, tuple | list):
        return [list(value), *(found for item in value for found in lists_in(item))]
    return []
