"""Regions to functions: which of the user's functions are kept, which are equal, and what crosses their borders."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import assign_bases, close_border, describe_body
from hypergen_compiler.fold.equality import region_key, split_group
from hypergen_compiler.fold.items import Call, Function, Region
from hypergen_compiler.fold.leaves import is_call, leaf_of, walk
from hypergen_compiler.fold.options import merge_options
from hypergen_compiler.fold.parameters import describe_function
from hypergen_compiler.fold.regions import entry_regions, is_foreign_helper, mark_functions, numbered
from hypergen_compiler.program import Entry, Program

__all__ = ["Folded", "FoldedEntry", "fold"]

SHORT_BODY = 4  # up to this many items, called from one place, read better where they are called


@dataclass
class FoldedEntry:
    """An entry point and the function that computes it; `evaluation` is another where the modes differ."""

    entry: Entry
    function: Function
    evaluation: Function | None = None


@dataclass
class Folded:
    """All functions of a program, callees before callers, and its entries in the program's order."""

    functions: list[Function]
    entries: list[FoldedEntry]


def fold(program: Program, records: dict[str, Records]) -> Folded:
    """Folds all entry points together, so that what they share is one function."""
    inlined: set[int] = set()
    for _ in range(2):  # the second time with functions that turned out short and used once in place
        roots = [region for entry in program.entries for region in entry_regions(entry)]
        keys = {id(region): key for root in roots for key, region in numbered(root)}
        for root in roots:
            mark_functions(root, {key for key in keys.values() if key in inlined}, keys)
        functions = Folder(roots, records).fold()
        inlined = {keys[id(member)] for function in short_functions(functions) for member in function.members}
    entries = []
    for entry in program.entries:
        own = [root.function for root in roots if root.entry is entry or root.entry is entry.evaluation]
        entries.append(FoldedEntry(entry, own[0], own[1] if len(own) > 1 else None))
    return Folded(functions, entries)


def short_functions(functions: list[Function]) -> list[Function]:
    """Those with a short body that run once, or that are another library's and that one printed line calls."""
    called = Counter(
        id(item.function) for function in functions for item in function.model.body if isinstance(item, Call)
    )

    def is_single(function: Function) -> bool:
        foreign = is_foreign_helper(function.model) and called[id(function)] == 1
        return len(function.members) == 1 or foreign

    return [f for f in functions if not f.model.is_entry and len(f.model.body) <= SHORT_BODY and is_single(f)]


class Folder:
    """Works upwards from the regions without inner functions, grouping equals at each height."""

    def __init__(self, roots: list[Region], records: dict[str, Records]):
        self.roots, self.records = roots, records
        self.functions: list[Function] = []
        self.users: dict[torch.fx.Node, list[Any]] = defaultdict(list)
        for root in roots:
            self.note_uses(root)

    def note_uses(self, root: Region) -> None:
        for node in root.entry.graph.nodes:
            if is_call(node):
                walk((node.args, node.kwargs), lambda leaf, node=node: self.users[leaf].append(node))
            elif node.op == "output":
                for source in node.all_input_nodes:
                    self.users[leaf_of(source)].append("returned")

    def fold(self) -> list[Function]:
        heights: dict[int, list[Region]] = defaultdict(list)
        for root in self.roots:
            self.height(root, heights)
        for height in sorted(heights):
            groups: dict[Any, list[Region]] = {}
            for region in heights[height]:
                describe_body(region, self.records)
                assign_bases(region, self.records)
                close_border(region, self.users, self.records)
                groups.setdefault(region_key(region, self.records), []).append(region)
            parts = [part for members in groups.values() for part in split_group(members)]
            for function in merge_options(parts, self.records):
                self.add(function)
        return self.functions

    def height(self, region: Region, heights: dict[int, list[Region]]) -> int:
        inner = [self.height(item, heights) for item in region.items if isinstance(item, Region)]
        height = max(inner, default=0) + (1 if region.is_function else 0)
        if region.is_function:
            heights[height].append(region)
        return height

    def add(self, function: Function) -> None:
        function.members.sort(key=lambda member: not member.is_entry)
        for member in function.members:
            member.function = function
        describe_function(function, self.records)
        self.functions.append(function)
