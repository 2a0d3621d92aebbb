"""How values flow through a function's body: who makes them, who reads them, and for how long they are needed."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypergen_compiler.fold import Function, Loop
from hypergen_compiler.fold.leaves import is_const

__all__ = ["AFTER", "Flow"]

AFTER = 1 << 30  # the position of a function's return statement


class Flow:
    """A body as it will be printed: of a loop only the first iteration's items.

    `uses` maps a tensor to the places (item, leaf) that read it, leaf None for loops and the return statement.
    `inlined` maps a tensor to the position of the item whose expression stands where it is read, `root` a position to
    that of the statement in which it stands, `tree` a statement to all positions in it: see `nesting`.
    """

    def __init__(self, function: Function, plan: list[int | Loop]):
        self.function, self.region, self.body, self.plan = function, function.model, function.model.body, plan
        self.loops = [part for part in plan if isinstance(part, Loop)]
        self.loop_at: dict[int, Loop] = {}
        self.aliases: dict[Any, Any] = {}
        self.printed: list[int] = []
        for part in plan:
            self.add(part)
        self.definitions = {out: p for p in self.printed for out in self.body[p].outs}
        self.places = {
            (loop.start + step, leaf): place for loop in self.loops for (step, leaf), place in loop.places.items()
        }
        self.carried = {value: loop for loop in self.loops for value in loop.carried}
        self.starts = {self.alias(start): value for loop in self.loops for value, start in loop.carried.items()}
        self.uses: dict[Any, list[tuple[float, int | None]]] = defaultdict(list)
        self.find_uses()
        self.inlined: dict[Any, int] = {}
        self.root = {p: p for p in self.printed}
        self.tree = {p: {p} for p in self.printed}

    def add(self, part: int | Loop) -> None:
        if isinstance(part, Loop):
            self.aliases.update(part.last)
            for step in range(part.period):
                self.loop_at[part.start + step] = part
                if not self.is_left_out(part.start + step, part):
                    self.printed.append(part.start + step)
        elif not self.is_left_out(part, None):
            self.printed.append(part)

    def is_left_out(self, position: int, loop: Loop | None) -> bool:
        """Whether a call changes nothing in all runs of the function and all turns of a loop: it is then an alias."""
        item, turns = self.body[position], range(loop.count if loop else 1)
        period = loop.period if loop else 0
        if not all(member.body[position + turn * period].neutral for member in self.function.members for turn in turns):
            return False
        (out,) = item.outs
        if loop and ((position - loop.start, 0) in loop.places or out in loop.carried or out in loop.gathered):
            return False
        self.aliases[out] = self.alias(item.leaves[0])
        self.aliases.update({last: self.alias(first) for last, first in self.aliases.items() if first is out})
        return True

    def alias(self, leaf: Any) -> Any:
        """The first iteration's value for the last one's."""
        return self.aliases.get(leaf, leaf)

    def find_uses(self) -> None:
        for position in self.printed:
            for number, leaf in enumerate(self.body[position].leaves):
                if not is_const(leaf) and (position, number) not in self.places:
                    self.uses[self.alias(leaf)].append((position, number))
        for loop in self.loops:
            for start in loop.carried.values():
                self.uses[self.alias(start)].append((loop.start - 0.5, None))
            for value in loop.gathered:  # twice: a gathered value is never inlined
                self.uses[value] += [(loop.start + loop.period - 1, None)] * 2
            for column in loop.columns:
                if column.kind == "value":
                    for leaf in column.values:
                        self.uses[self.alias(leaf)].append((loop.start - 0.4, None))  # after carried values start
        for option in self.function.options:
            self.uses[self.alias(option.instead)].append((option.start - 0.5, None))
        for node in self.region.results:
            self.uses[self.alias(node)].append((AFTER, None))

    def last_use(self, leaf: Any, born: float) -> float:
        """The statement after which a name may be given to another value; a loop reads its outside to its end."""
        end = born
        for position, number in self.uses[leaf]:
            loop = self.loop_at.get(position) if number is not None else None
            if loop is not None and not loop.start <= born < loop.start + loop.period:
                end = max(end, loop.start + loop.period - 0.25)
            else:
                end = max(end, self.root.get(position, position))
        return end

    def spans(self, leaf: Any, position: int) -> list[tuple[float, float]]:
        """Where a value is alive, as pairs of positions."""
        born = self.root[position]
        loop = self.carried.get(leaf)
        option = self.function.option_at(position)
        if option is not None and leaf is option.out:
            return [(option.start - 0.5, self.last_use(leaf, position))]
        if loop is None:
            return [(born, self.last_use(leaf, position))]
        reads = [
            self.root[loop.start + step]
            for (step, _), place in loop.places.items()
            if place[0] == "carried" and place[1] is leaf
        ]
        end = max(self.last_use(leaf, position), loop.start + loop.period - 0.25)
        return [(loop.start - 0.5, max(reads)), (born, end)]
