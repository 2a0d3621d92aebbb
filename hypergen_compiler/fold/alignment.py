"""The items of a shorter region found, in order, among those of a longer one that ran the same code."""

from __future__ import annotations

from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Records, join
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.items import Item, Operation, Region
from hypergen_compiler.fold.leaves import Const, Constant, Leaf, Part, Weight, is_const
from hypergen_compiler.fold.option import Absent

__all__ = ["Alignment", "is_harmless"]

NOTHING = Const(None)  # the argument of a function that one of its regions does not have


class Alignment:
    """`pairs` has the shorter's item for each of the longer's, None where it leaves that out.

    `bound` maps the longer's values to the shorter's, `instead` results of what is left out to the longer's values that
    stand in their place.
    """

    def __init__(self, full: Region, short: Region, records: dict[str, Records]):
        self.full, self.short, self.records = full, short, records
        self.pairs: list[Item | None] = []
        self.bound: dict[Any, Any] = {}
        self.instead: dict[torch.fx.Node, Any] = {}
        self.left_out: set[torch.fx.Node] = set()
        names = {name: leaf for leaf, name in short.scope.arguments.items() if leaf in short.arguments}
        for leaf, name in full.scope.arguments.items():
            if leaf in full.arguments and name in names:
                self.bound[leaf] = names[name]

    @staticmethod
    def of(full: Region, short: Region, records: dict[str, Records]) -> Alignment | None:
        """None where something of the shorter region has no place in the longer one."""
        found = Alignment(full, short, records)
        return found if found.find() else None

    def find(self) -> bool:
        rest = list(self.short.body)
        for item in self.full.body:
            if rest and self.matches(item, rest[0]):
                self.bound |= dict(zip(item.outs, rest[0].outs, strict=True))
                self.pairs.append(rest.pop(0))
            else:
                self.leave_out(item)
        given = {self.bound[leaf] for leaf in self.full.arguments if leaf in self.bound}
        if rest or given != set(self.short.arguments) or len(self.full.results) != len(self.short.results):
            return False
        return all(self.agree(*pair) for pair in zip(self.full.results, self.short.results, strict=True))

    def leave_out(self, item: Item) -> None:
        self.pairs.append(None)
        if is_harmless(item) and item.leaves[0] in self.bound:
            self.bound[item.outs[0]] = self.bound[item.leaves[0]]
        else:
            self.left_out.update(item.outs)

    def matches(self, item: Item, other: Item) -> bool:
        if (item.key, item.grad, len(item.leaves)) != (other.key, other.grad, len(other.leaves)):
            return False
        before = dict(self.bound), dict(self.instead)
        if all(self.agree(*pair) for pair in zip(item.leaves, other.leaves, strict=True)):
            return True
        self.bound, self.instead = before
        return False

    def agree(self, leaf: Leaf, other: Leaf) -> bool:
        """Whether a leaf becomes the shorter region's, which decides what it stands for where that is open."""
        if is_const(leaf) or is_const(other):
            return is_const(leaf) and is_const(other)
        if leaf in self.bound:
            return self.bound[leaf] == other
        if leaf in self.left_out:
            sources = [one for one, found in self.bound.items() if found == other and one not in self.left_out]
            if not sources:
                return False
            self.instead[leaf], self.bound[leaf] = sources[0], other
            return True
        if isinstance(leaf, Weight | Part) and is_within(leaf, self.full, self.records):
            if type(leaf) is not type(other) or leaf[0] != other[0] or not is_within(other, self.short, self.records):
                return False
            steps = relative_steps(leaf, self.full, self.records)
            return steps == relative_steps(other, self.short, self.records)
        if leaf in self.full.arguments and other in self.short.arguments and other not in self.bound.values():
            self.bound[leaf] = other
            return True
        return isinstance(leaf, Constant) and leaf == other

    def paths(self, space: str) -> tuple[str, str]:
        """The modules whose records the two regions take."""
        return self.full.bases[space], self.short.bases[space]

    def lacking(self, leaf: Leaf) -> tuple[str, str] | None:
        """The part of the module that a weight is of, where the shorter region's module has nothing of the kind."""
        if not isinstance(leaf, Weight | Part) or not is_within(leaf, self.full, self.records):
            return None
        full, short = self.paths(leaf[0])
        child = leaf[1].removeprefix(f"{full}." if full else "").partition(".")[0]
        return None if self.records[leaf[0]].has(join(short, child)) else (leaf[0], child)

    def body(self) -> list[Any]:
        """The shorter region's items, with a note in the place of each that it leaves out."""
        pairs = zip(self.full.body, self.pairs, strict=True)
        return [other or Absent(item, [self.bound.get(out) for out in item.outs]) for item, other in pairs]

    def arguments(self) -> list[Any]:
        return [self.bound.get(leaf, NOTHING) for leaf in self.full.arguments]


def is_harmless(item: Item) -> bool:
    """Whether an item may run where it was left out, since it only gives its argument again."""
    return isinstance(item, Operation) and item.node.meta["name"] == "Tensor.contiguous"
