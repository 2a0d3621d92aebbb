"""What a function takes besides tensors: records, numbers that differ between its members, the batch size, the mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.fx

from hypergen_compiler.capture.tape import fill
from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import is_within
from hypergen_compiler.fold.equality import explanation, is_inferred, number_places
from hypergen_compiler.fold.items import Call, Function, Region
from hypergen_compiler.fold.leaves import Const, Part, Weight
from hypergen_compiler.ops.creation import CREATION
from hypergen_compiler.program import Affine, Choice, Curve, Extent, Half

__all__ = ["CREATING", "describe_function"]

CREATING = frozenset(f"torch.{name}" for name in CREATION)


def describe_function(function: Function, records: dict[str, Records]) -> None:
    """Fills in a function's parameters from its members' bodies."""
    members, model = function.members, function.model
    groups: dict[tuple[tuple[str, str], ...], list[tuple[int, int]]] = {}
    for i, j in number_places(model):
        column = tuple(member.body[i].leaves[j].key() for member in members)
        if len(set(column)) == 1 and not isinstance(model.body[i].leaves[j].value, Extent):
            continue
        found = explanation(members, i, j)
        if found is not None:
            function.explained[i, j] = found
        elif is_inferred(members, i, j):
            function.inferred.add((i, j))
        elif len(set(column)) > 1:
            groups.setdefault(column, []).append((i, j))
    function.parameters = list(groups.values())
    leaves = [leaf for item in model.body for leaf in item.leaves]
    within = {leaf[0] for leaf in leaves if isinstance(leaf, Weight | Part) and is_within(leaf, model, records)}
    function.spaces = ("w", "state") if function.entry is not None else tuple(s for s in ("w", "state") if s in within)
    returned: list[Any] = []
    if function.entry is not None:
        fill(function.entry.entry.output, returned.append)
    values = [leaf.value for leaf in leaves if isinstance(leaf, Const)] + returned
    function.uses_batch = any(uses_batch(value) for value in values)
    function.uses_training = any(isinstance(value, Choice) for value in values) or any(
        item.mode is not None or (isinstance(item, Call) and item.function.uses_training) for item in model.body
    )
    if function.uses_batch:
        function.batch_from = shape_source(function, lambda size: size == Affine(1))
        function.takes_batch = function.batch_from is None and function.entry is None
    function.takes_device = makes_tensors_from_nothing(function)
    given = {*function.explained, *function.inferred, *(place for places in function.parameters for place in places)}
    sized = [leaf_value(model, place) for place in number_places(model) if place not in given] + returned
    if any(isinstance(value, Extent) and any(power for (_, power), _ in value.terms) for value in sized):
        function.size_from = shape_source(function, lambda size: isinstance(size, Extent) and size.is_plain)
        function.takes_size = function.size_from is None


def makes_tensors_from_nothing(function: Function) -> bool:
    """Whether a function makes tensors and is handed none whose device they could be on."""
    given = any(isinstance(leaf, Weight | Part) or is_tensor(leaf) for leaf in function.model.arguments)
    if function.entry is not None or function.spaces or given:
        return False
    return any(
        item.function.takes_device if isinstance(item, Call) else item.node.meta["name"] in CREATING
        for item in function.model.body
    )


def is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.fx.Node) and "shape" in leaf.meta


def uses_batch(value: Any) -> bool:
    in_extent = isinstance(value, Extent) and any(power for (power, _), _ in value.terms)
    return isinstance(value, Affine | Curve | Half) or in_extent


def leaf_value(region: Region, place: tuple[int, int]) -> Any:
    return region.body[place[0]].leaves[place[1]].value


def shape_source(function: Function, is_wanted: Callable[[Any], bool]) -> tuple[int, int] | None:
    """(argument, dimension) whose size is the wanted one in every member, or None."""
    for place in range(len(function.model.arguments)):
        arguments = [member.arguments[place] for member in function.members]
        if any(not isinstance(argument, torch.fx.Node) for argument in arguments):
            continue
        shapes = [argument.meta.get("shape", ()) for argument in arguments]
        for dimension in range(min(map(len, shapes), default=0)):
            if all(is_wanted(shape[dimension]) for shape in shapes):
                return place, dimension
    return None
