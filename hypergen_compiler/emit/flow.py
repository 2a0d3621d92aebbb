"""How values flow through a function's body: who makes them, who reads them, and which need no name of their own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch.fx

from hypergen_compiler.emit.origins import is_layer, written_name
from hypergen_compiler.fold import Call, Function, Loop, Operation
from hypergen_compiler.fold.items import Item
from hypergen_compiler.fold.leaves import is_const

__all__ = ["AFTER", "Flow"]

AFTER = 1 << 30  # the position of a function's return statement


class Flow:
    """A body as it will be printed: of a loop only the first iteration's items.

    `uses` maps a tensor to the places (item, leaf) that read it, leaf None for loops and the return statement.
    `inlined` maps a tensor to the position of the item whose expression stands where it is read. In a dense one a value
    of which a function makes the next of its name stands there too.
    """

    def __init__(self, function: Function, plan: list[int | Loop], own_line: set[int], *, is_dense: bool = False):
        self.is_dense = is_dense
        self.function, self.region, self.body, self.plan = function, function.model, function.model.body, plan
        self.own_line = own_line
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
        self.inline()

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

    def inline(self) -> None:
        """Nests single-use values that the user did not name, last argument first, past no effect out of order."""
        effects = [p for p in self.printed if self.body[p].random or self.body[p].writes]
        for position in self.printed:
            barrier = position
            for number in range(len(self.body[position].leaves) - 1, -1, -1):
                leaf = self.alias(self.body[position].leaves[number])
                source = self.definitions.get(leaf)
                if source is None or (position, number) in self.places or not self.may_nest(leaf, source, position):
                    continue
                inner = self.tree[source]
                if self.is_overtaken(inner, position):
                    continue
                moved = [p for p in inner if p in effects]
                if moved:
                    if any(min(moved) < p < barrier and p not in inner for p in effects):
                        continue
                    barrier = min(moved)
                self.nest(leaf, source, position)
        self.inline_results()

    def nest(self, leaf: Any, source: int, position: int) -> None:
        inner = self.tree[source]
        self.inlined[leaf] = source
        self.tree[position] = self.tree.get(position, set()) | inner
        for p in inner:
            self.root[p] = position

    def inline_results(self) -> None:
        """Nests unnamed values in the return statement, `return mean.exp(), shift + 1`, past nothing with an effect."""
        results = [self.alias(node) for node in self.region.results]
        effects = [p for p in self.printed if self.body[p].random or self.body[p].writes]
        for leaf in results if len(results) > 1 else ():
            source = self.definitions.get(leaf)
            if source is None or not self.may_stand_in_return(leaf, source):
                continue
            if not self.is_overtaken(self.tree[source], AFTER) and not self.tree[source] & set(effects):
                self.nest(leaf, source, AFTER)

    def may_stand_in_return(self, leaf: Any, source: int) -> bool:
        item = self.body[source]
        return (
            self.uses[leaf] == [(AFTER, None)]
            and leaf not in self.carried
            and source not in self.own_line
            and source not in self.loop_at
            and self.function.option_at(source) is None
            and self.root[source] == source
            and self.is_expression(item)
            and (item.grad or not self.region.grad)
            and item.mode is None
            and written_name(self.region, item, leaf) is None
        )

    def may_nest(self, leaf: Any, source: int, position: int) -> bool:
        item = self.body[source]
        return (
            len(self.uses[leaf]) == 1
            and leaf not in self.carried
            and source not in self.own_line
            and self.loop_at.get(source) is self.loop_at.get(position)
            and self.function.option_at(source) is self.function.option_at(position)
            and self.root[source] == source
            and source < position
            and self.is_expression(item)
            and item.grad == self.body[position].grad
            and item.mode == self.body[position].mode
            and self.needs_no_name(item, leaf, position)
        )

    def needs_no_name(self, item: Item, leaf: Any, position: int) -> bool:
        """Whether the user gives a value no name, or in a dense function the name of what is called with it."""
        name, reader = written_name(self.region, item, leaf), self.body[position]
        if name is None or not self.is_dense or not isinstance(reader, Call) or len(reader.outs) > 1:
            return name is None
        (out,) = reader.outs
        plain = isinstance(item, Operation) and not is_layer(item) and out not in self.carried
        return plain and name == written_name(self.region, reader, out)

    def is_expression(self, item: Item) -> bool:
        """Whether an item is an expression with one result that is wanted."""
        if isinstance(item, Operation) and item.node.meta["name"].endswith(("__setitem__", "__set__")):
            return False
        wanted = [out for out in item.outs if self.uses[out]]
        if isinstance(item, Call):
            return len(item.outs) == 1
        return len(wanted) == 1 and all(len(out.args) == 2 for out in item.outs if out is not item.node)

    def is_overtaken(self, inner: set[int], position: int) -> bool:
        """Whether something between writes to a storage that the moved expression reads."""
        read = {
            leaf.meta.get("storage") for p in inner for leaf in self.body[p].leaves if isinstance(leaf, torch.fx.Node)
        } | {leaf for p in inner for leaf in self.body[p].leaves if not isinstance(leaf, torch.fx.Node)}
        between = (p for p in self.printed if min(inner) < p < position and p not in inner)
        return any(self.body[p].writes & read or self.writes_weight(p, read) for p in between)

    def writes_weight(self, position: int, read: set[Any]) -> bool:
        item = self.body[position]
        if not item.writes:
            return False
        touched = [leaf for leaf in item.leaves if not is_const(leaf) and not isinstance(leaf, torch.fx.Node)]
        return any(leaf in read for leaf in touched)

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
