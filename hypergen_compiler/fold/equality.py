"""When two regions are the same function: equal up to the weights and the numbers that become arguments."""

from __future__ import annotations

from typing import Any

import torch.fx

from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.items import Region
from hypergen_compiler.fold.leaves import Const, Constant, Leaf, Part, Weight, is_const
from hypergen_compiler.fold.option import Absent
from hypergen_compiler.program import Extent

__all__ = ["explanation", "is_inferred", "number_places", "region_key", "split_group"]

MOST_NUMBERS = 4  # functions that differ in more independent numbers than this are different functions


def region_key(region: Region, records: dict[str, Records]) -> tuple[Any, ...]:
    """Equal for regions that print as one function: numbers are wildcards, values are numbered as they appear."""
    numbers: dict[Any, Any] = {leaf: ("argument", place) for place, leaf in enumerate(region.arguments)}
    rows = []
    for item in region.body:
        row = tuple(leaf_key(leaf, numbers, region, records) for leaf in item.leaves)
        for out in item.outs:
            numbers[out] = ("local", len(numbers))
        rows.append((item.key, row, item.grad == region.grad))
    kinds = tuple(type(leaf).__name__ for leaf in region.arguments)
    results = tuple(numbers.get(node, "outside") for node in region.results)
    return (function_name(region), tuple(rows), results, kinds, entry_key(region))


def leaf_key(leaf: Leaf, numbers: dict[Any, Any], region: Region, records: dict[str, Records]) -> Any:
    if isinstance(leaf, Const):
        return "number"
    if leaf in numbers:
        return numbers[leaf]
    if isinstance(leaf, Constant):
        return leaf
    if isinstance(leaf, Weight | Part) and is_within(leaf, region, records):
        return (type(leaf).__name__, leaf[0], relative_steps(leaf, region, records))
    return ("outside", id(leaf))


def function_name(region: Region) -> str:
    scope = region.inner if region.is_entry else region.scope
    return scope.function if scope is not None else ""


def entry_key(region: Region) -> Any:
    """Keeps apart entry points that cannot be called like an inner function: other inputs, containers as results."""
    if not region.is_entry:
        return None
    plain = region.entry.output
    simple = isinstance(plain, torch.fx.Node) or (
        type(plain) is tuple and len(plain) > 1 and all(isinstance(item, torch.fx.Node) for item in plain)
    )
    produced = all(node.op == "call_function" for node in region.results)
    callable_inside = simple and produced
    if callable_inside and region.mode_name is None and len(set(region.results)) == len(region.results):
        return None
    return ("entry", region.entry.name, region.mode_name)


def number_places(region: Region) -> list[tuple[int, int]]:
    """Where numbers stand in a body: (item, leaf)."""
    return [(i, j) for i, item in enumerate(region.body) for j, leaf in enumerate(item.leaves) if is_const(leaf)]


def split_group(members: list[Region]) -> list[list[Region]]:
    """Members that differ in more than a few numbers that no argument's shape explains are apart."""
    if len(members) == 1:
        return [members]
    entries = [member for member in members if member.is_entry]
    if len(entries) > 1:  # each entry point keeps a name of its own
        return [*split_group([m for m in members if m not in entries[1:]]), *([entry] for entry in entries[1:])]
    places = number_places(members[0])
    if len(independent(members, places)) <= (0 if entries else MOST_NUMBERS):
        return [members]
    parts: dict[Any, list[Region]] = {}
    for member in members:
        parts.setdefault(tuple(member.body[i].leaves[j].key() for i, j in places), []).append(member)
    return list(parts.values())


def independent(members: list[Region], places: list[tuple[int, int]]) -> set[Any]:
    columns = set()
    for i, j in places:
        column = tuple(member.body[i].leaves[j].key() for member in members)
        if len(set(column)) > 1 and explanation(members, i, j) is None and not is_inferred(members, i, j):
            columns.add(column)
    return columns


def is_inferred(members: list[Region], i: int, j: int) -> bool:
    """Whether a number is the only size of a `view` or `reshape` that differs between members, so that -1 says it."""
    if getattr(members[0].body[i], "node", None) is None or members[0].body[i].node.meta["name"] not in RESHAPING:
        return False
    rows = [member.body[i].leaves[1:] for member in members]
    if any(not is_const(leaf) or leaf.value == -1 for row in rows for leaf in row):
        return False
    differing = [1 + k for k, leaves in enumerate(zip(*rows, strict=True)) if len({leaf.key() for leaf in leaves}) > 1]
    return differing == [j]


RESHAPING = frozenset({"Tensor.view", "Tensor.reshape"})
POWERS = (1, 0.5, -0.5)  # of a size, as in `width ** -0.5`


def explanation(members: list[Region], i: int, j: int) -> tuple[int, int, float] | None:
    """(argument, dimension, power): the size that to this power is this number in every member, or None."""
    members = [member for member in members if not isinstance(member.body[i], Absent)]
    values = [member.body[i].leaves[j].value for member in members]
    if any(not isinstance(value, int | float | Extent) or isinstance(value, bool) for value in values):
        return None
    powers = POWERS[1:] if all(isinstance(value, float) for value in values) else POWERS[:1]
    for place in range(len(members[0].arguments)):
        arguments = [member.arguments[place] for member in members]
        if any(not isinstance(argument, torch.fx.Node) for argument in arguments):
            continue
        shapes = [argument.meta.get("shape", ()) for argument in arguments]
        for dimension in range(min(map(len, shapes))):
            for power in powers:
                sizes = [shape[dimension] for shape in shapes]
                if all(is_power(value, size, power) for value, size in zip(values, sizes, strict=True)):
                    return place, dimension, power
    return None


def is_power(value: Any, size: Any, power: float) -> bool:
    if power == 1:
        return size == value and not isinstance(value, float)
    return isinstance(size, int) and size > 1 and size**power == value
