"""Recorded graphs to trees of regions, one for each running of a user's function, and which of them are functions."""

from __future__ import annotations

from typing import Any

from hypergen_compiler.capture.tape import Scope
from hypergen_compiler.fold.items import Region
from hypergen_compiler.fold.leaves import is_call
from hypergen_compiler.program import Entry
from hypergen_compiler.where import library

__all__ = ["entry_regions", "is_foreign_helper", "mark_functions", "numbered"]

SMALL_FUNCTION = 3  # fewer calls than this are no function


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
    while caller.parent is not None and caller.owner is None and library_of(caller) == library_of(scope):
        caller = caller.parent
    return library_of(caller) not in (None, library_of(scope))


def library_of(scope: Scope) -> str | None:
    """The installed library that a function belongs to; None for the user's own files."""
    return library(scope.code.co_filename) if scope.code is not None else None


def is_norm(region: Region, calls: int) -> bool:
    """Whether a region is a batch normalisation of torch.nn that counts its batches."""
    return region.scope is not None and region.scope.where.startswith("torch.nn.") and calls > 1
