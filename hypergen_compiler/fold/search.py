"""Whether a period of a body is a loop: every leaf of it must follow one of a few rules over the iterations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import relative_steps
from hypergen_compiler.fold.items import Item, Operation, Region
from hypergen_compiler.fold.leaves import Const, Leaf, Part, Weight, is_const
from hypergen_compiler.fold.loop import Column, Loop

__all__ = ["Search"]

MOST_COLUMNS = 6


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
