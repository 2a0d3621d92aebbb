"""Folded functions: printed once, each must be what every one of the regions that it stands for computes.

A function's body is that of its first member. For every other member the body is unfolded, its arguments, records and
numbers put in, and compared call by call with what was recorded there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch.fx

from hypergen_compiler.capture.graph import nodes_in
from hypergen_compiler.checker.repeats import check_loops
from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.emit.records import Records, join
from hypergen_compiler.fold import Call, Const, Folded, Function, Operation, Part, Region, Weight
from hypergen_compiler.fold.alignment import is_harmless
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.items import Item
from hypergen_compiler.fold.leaves import Leaf, is_call, walk
from hypergen_compiler.fold.option import Absent
from hypergen_compiler.program import Affine, Program

__all__ = ["check_functions"]


def check_functions(program: Program, folded: Folded, records: Mapping[str, Records]) -> list[Violation]:
    """All functions against the graphs that they come from, their loops included."""
    found = list(check_cover(program, folded))
    for function in folded.functions:
        for member in function.members:
            found += check_member(function, member, records)
        found += check_loops(function.model, records)
    return found


def check_cover(program: Program, folded: Folded) -> Iterator[Violation]:
    """Every recorded call stands in one body, and bodies keep the order of those with effects."""
    bodies: dict[Region, list[torch.fx.Node]] = {}
    for function in folded.functions:
        for member in function.members:
            bodies[member] = list(unfolded(member))
    for entry in folded.entries:
        for function, graph in zip((entry.function, entry.evaluation), entry.entry.graphs, strict=False):
            region = next(member for member in function.members if member.is_entry and member.entry.graph is graph)
            made = bodies[region]
            recorded = [node for node in graph.nodes if is_call(node)]
            if Counter(made) != Counter(recorded):
                yield Violation(f"{entry.entry.name} folds {len(made)} calls, {len(recorded)} were recorded")
            elif effects(made) != effects(recorded):
                yield Violation(f"{entry.entry.name} has its effects in another order than was recorded")
            if region.results != nodes_in(region.entry.output):
                yield Violation(f"{entry.entry.name} returns other values than was recorded")


def unfolded(region: Region) -> Iterator[torch.fx.Node]:
    for item in region.body:
        if isinstance(item, Call):
            yield from unfolded(item.region)
        elif isinstance(item, Operation):
            yield item.node


def effects(nodes: list[torch.fx.Node]) -> list[torch.fx.Node]:
    return [node for node in nodes if node.meta["writes"] or node.meta["random"]]


def check_member(function: Function, member: Region, records: Mapping[str, Records]) -> Iterator[Violation]:
    """One region against the body of its function."""
    model, name = function.model, member.scope.function if member.scope else member.entry.name
    if len(model.body) != len(member.body) or len(model.arguments) != len(member.arguments):
        yield Violation(f"{name} stands for a region of another length")
        return
    bound: dict[Any, Any] = dict(zip(model.arguments, member.arguments, strict=True))
    for i, (item, other) in enumerate(zip(model.body, member.body, strict=True)):
        if isinstance(other, Absent):
            yield from check_absent(function, member, i, bound, name)
            bound |= dict(zip(item.outs, other.outs, strict=True))
            continue
        if not same_item(item, other):
            yield Violation(f"{name} calls {described(item)} where {described(other)} was recorded", place(other))
            return
        for j, (leaf, recorded) in enumerate(zip(item.leaves, other.leaves, strict=True)):
            if not agrees(function, member, (i, j), leaf, recorded, bound, records):
                yield Violation(f"{name} gives {described(item)} {leaf!r} for {recorded!r}", place(other))
        if isinstance(other, Call):
            yield from check_call(other, name)
        bound |= dict(zip(item.outs, other.outs, strict=True))
    if [bound.get(result, result) for result in model.results] != member.results:  # else a weight, returned as it is
        yield Violation(f"{name} returns other values than the region it stands for")
    yield from check_sizes(function, member, name)
    yield from check_options(function, member, records, name)


def check_absent(
    function: Function, member: Region, position: int, bound: Mapping[Any, Any], name: str
) -> Iterator[Violation]:
    """What a region leaves out is an option of its function, whose result is then the value that stands for it."""
    item, option = function.model.body[position], function.option_at(position)
    outs = member.body[position].outs
    if option is None or not all(isinstance(member.body[p], Absent) for p in range(option.start, option.end)):
        if not is_harmless(item) or outs[0] != bound.get(item.leaves[0]):
            yield Violation(f"{name} calls {described(item)}, which the region that it stands for does not")
    elif option.out in item.outs and outs[item.outs.index(option.out)] != bound.get(option.instead):
        yield Violation(f"{name} goes on with another value where {described(item)} is left out")


def check_options(function: Function, member: Region, records: Mapping[str, Records], name: str) -> Iterator[Violation]:
    """The items of an option run in a region if and only if what tells is there."""
    for option in function.options:
        items = [member.body[p] for p in range(option.start, option.end)]
        runs = not all(isinstance(item, Absent) for item in items)
        there = [records[space].has(join(member.bases[space], part)) for space, part in option.fields]
        there += [not isinstance(member.arguments[place], Const) for place in option.arguments]
        if not there or any(found != runs for found in there):
            yield Violation(f"{name} does not tell whether {described(function.model.body[option.start])} runs")


def same_item(item: Item, other: Item) -> bool:
    """Whether two items make the same call but for tensors and numbers."""
    if len(item.leaves) != len(other.leaves) or len(item.outs) != len(other.outs):
        return False
    if (item.mode, item.random) != (other.mode, other.random):
        return False
    if isinstance(item, Operation) and isinstance(other, Operation):
        one, two = item.node, other.node
        same_function = one.target == two.target and one.meta["name"] == two.meta["name"]
        return same_function and one.meta.get("rewrite") == two.meta.get("rewrite") and pattern(one) == pattern(two)
    return isinstance(item, Call) and isinstance(other, Call) and item.function is other.function


def pattern(node: torch.fx.Node) -> Any:
    return walk((node.args, node.kwargs), lambda leaf: None)


def agrees(
    function: Function,
    member: Region,
    place: tuple[int, int],
    leaf: Leaf,
    recorded: Leaf,
    bound: dict[Any, Any],
    records: Mapping[str, Records],
) -> bool:
    """Whether what a function's leaf becomes for one member is what was recorded there."""
    if isinstance(leaf, Const):
        if not isinstance(recorded, Const):
            return False
        if place in function.explained:
            argument, dimension, power = function.explained[place]
            size = member.arguments[argument].meta["shape"][dimension]
            return (size if power == 1 else size**power) == recorded.value
        if place in function.inferred:
            return True  # torch finds the one size that is left out, or fails
        return leaf.key() == recorded.key() or any(place in places for places in function.parameters)
    if leaf in bound:
        return bound[leaf] == recorded
    if isinstance(leaf, Weight | Part) and type(leaf) is type(recorded) and leaf[0] == recorded[0]:
        steps = [relative_steps(*pair, records) for pair in ((leaf, function.model), (recorded, member))]
        return is_within(recorded, member, records) and steps[0] == steps[1]
    return not isinstance(leaf, torch.fx.Node) and leaf == recorded


def check_call(call: Call, name: str) -> Iterator[Violation]:
    """What a call hands over is what its region takes, in the order of the function's parameters."""
    region, function = call.region, call.function
    wanted: list[Any] = [Part(space, region.bases[space]) for space in function.spaces]
    wanted += region.arguments
    wanted += [region.body[i].leaves[j] for (i, j), *_ in function.parameters]
    if list(call.leaves[: len(wanted)]) != wanted or call.outs != region.results:
        yield Violation(f"{name} hands other values to {described(call)} than its region takes", place(call))
    for (i, j), *others in function.parameters:
        if any(region.body[k].leaves[m].key() != region.body[i].leaves[j].key() for k, m in others):
            yield Violation(f"{described(call)} takes one number where the region has several", place(call))


def check_sizes(function: Function, member: Region, name: str) -> Iterator[Violation]:
    """The argument that shows the batch size does so in every member."""
    if function.batch_from is not None:
        argument, dimension = function.batch_from
        if member.arguments[argument].meta["shape"][dimension] != Affine(1):
            yield Violation(f"{name} reads the batch size where it does not stand")


def described(item: Item) -> str:
    if isinstance(item, Operation):
        return item.node.meta["name"]
    scope = item.region.scope
    return scope.function if scope is not None else item.region.entry.name


def place(item: Item) -> str | None:
    return item.node.meta.get("where") if isinstance(item, Operation) else None
