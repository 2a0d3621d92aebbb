"""Regions to functions: which of the user's functions are kept, which are equal, and what crosses their borders."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import torch.fx

from hypergen_compiler.capture.tape import Scope
from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import assign_bases, close_border, describe_body
from hypergen_compiler.fold.equality import region_key, split_group
from hypergen_compiler.fold.items import Call, Function, Region
from hypergen_compiler.fold.leaves import is_call, leaf_of, walk
from hypergen_compiler.fold.options import merge_options
from hypergen_compiler.fold.parameters import describe_function
from hypergen_compiler.program import Entry, Program
from hypergen_compiler.where import PACKAGES

__all__ = ["Folded", "FoldedEntry", "fold"]

SMALL_FUNCTION = 3  # fewer calls than this are no function
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


def entry_regions(entry: Entry) -> list[Region]:
    """The region of an entry point, or two where training and evaluation are different programs."""
    if entry.evaluation is None:
        return [build_regions(entry, None)]
    return [build_regions(entry, "training"), build_regions(entry.evaluation, "evaluation")]


def build_regions(entry: Entry, mode_name: str | None) -> Region:
    """The tree of regions of one graph, in the order in which they started."""
    root = Region(None, None, entry, mode_name=mode_name)
    regions: dict[int, Region] = {}
    for node in entry.graph.nodes:
        if not is_call(node):
            continue
        chain = []
        scope = node.meta["scope"]
        while scope is not None and scope.parent is not None:
            chain.append(scope)
            scope = scope.parent
        region = root
        for scope in reversed(chain):
            if id(scope) not in regions:
                regions[id(scope)] = Region(scope, region, entry)
                region.items.append(regions[id(scope)])
            region = regions[id(scope)]
        region.items.append(node)
    inner = root
    while len(inner.items) == 1 and isinstance(inner.items[0], Region) and not inner.items[0].scope.path:
        inner = inner.items[0]  # the model's own method, or a plain function; a part of it stays a function
        inner.is_merged = True
        root.names.update(inner.scope.arguments)
    root.inner = inner.scope
    return root


def numbered(root: Region) -> list[tuple[Any, Region]]:
    """Every region of a tree with a key that is the same each time the tree is built."""
    found: list[tuple[Any, Region]] = []

    def visit(region: Region, path: tuple[Any, ...]) -> None:
        found.append((path, region))
        for number, item in enumerate(region.items):
            if isinstance(item, Region):
                visit(item, (*path, number))

    visit(root, (root.entry.name, root.mode_name))
    return found


def mark_functions(region: Region, inlined: set[Any], keys: dict[int, Any]) -> None:
    """A function has at least three calls and is no mere wrapper of another."""
    for item in region.items:
        if isinstance(item, Region):
            mark_functions(item, inlined, keys)
    calls = sum(not node.meta.get("neutral") for node in region.nodes())
    wrapper = len(region.items) == 1 and isinstance(region.items[0], Region)
    large = calls > SMALL_FUNCTION or (calls == SMALL_FUNCTION and not is_foreign_helper(region))
    kept = (
        (large or is_norm(region, calls)) and not wrapper and not region.is_merged and keys[id(region)] not in inlined
    )
    region.is_function = region.is_entry or kept


def is_foreign_helper(region: Region) -> bool:
    """Whether a region is a plain function of another library than what calls it, whose name says little here."""
    scope = region.scope
    if scope is None or scope.owner is not None or scope.parent is None or scope.code is None:
        return False
    caller = scope.parent
    while caller.parent is not None and caller.owner is None and library(caller) == library(scope):
        caller = caller.parent
    return library(caller) not in (None, library(scope))


def library(scope: Scope) -> str | None:
    """The installed library that a function belongs to; None for the user's own files."""
    if scope.code is None:
        return None
    return (
        scope.code.co_filename.rpartition(PACKAGES)[2].partition(os.sep)[0]
        if PACKAGES in scope.code.co_filename
        else None
    )


def is_norm(region: Region, calls: int) -> bool:
    """Whether a region is a batch normalisation of torch.nn that counts its batches."""
    return region.scope is not None and region.scope.where.startswith("torch.nn.") and calls > 1


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
