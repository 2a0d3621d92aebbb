"""A loop in a body: which items it repeats, and what its variables run over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Steps
from hypergen_compiler.fold.leaves import Leaf

__all__ = ["Column", "Loop"]


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
    def descent(self) -> range | None:
        """What the variable of an index counts, where all numbers that it makes are the same and go down."""
        lines = {place[2] for place in self.places.values() if place[0] == "column" and place[1].kind == "index"}
        first, step = lines.pop() if len(lines) == 1 else (0, 1)
        is_whole = isinstance(first, int) and isinstance(step, int)
        return range(first, first + step * self.turns, step) if is_whole and step < 0 else None

    @property
    def end(self) -> int:
        return self.start + self.period * self.count
