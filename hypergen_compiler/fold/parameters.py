"""What a function takes besides tensors: records, numbers that differ between its members, the batch size, the mode."""

from __future__ import annotations

import torch.fx

from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.borders import is_within
from hypergen_compiler.fold.equality import explanation, number_places
from hypergen_compiler.fold.items import Call, Const, Function, Part, Weight
from hypergen_compiler.program import Affine, Choice, Ratio

__all__ = ["describe_function"]


def describe_function(function: Function, records: dict[str, Records]) -> None:
    """Fills in a function's parameters from its members' bodies."""
    members, model = function.members, function.model
    groups: dict[tuple[tuple[str, str], ...], list[tuple[int, int]]] = {}
    for i, j in number_places(model):
        column = tuple(member.body[i].leaves[j].key() for member in members)
        if len(set(column)) == 1:
            continue
        found = explanation(members, i, j)
        if found is not None:
            function.explained[i, j] = found
        else:
            groups.setdefault(column, []).append((i, j))
    function.parameters = list(groups.values())
    leaves = [leaf for item in model.body for leaf in item.leaves]
    within = {leaf[0] for leaf in leaves if isinstance(leaf, Weight | Part) and is_within(leaf, model, records)}
    function.spaces = ("w", "state") if function.entry is not None else tuple(s for s in ("w", "state") if s in within)
    values = [leaf.value for leaf in leaves if isinstance(leaf, Const)]
    function.uses_batch = any(isinstance(value, Affine | Ratio) for value in values)
    function.uses_training = any(isinstance(value, Choice) for value in values) or any(
        item.mode is not None or (isinstance(item, Call) and item.function.uses_training) for item in model.body
    )
    if function.uses_batch:
        function.batch_from = batch_source(function)
        function.takes_batch = function.batch_from is None and function.entry is None


def batch_source(function: Function) -> tuple[int, int] | None:
    """(argument, dimension) that is the batch size in every member, or None."""
    for place in range(len(function.model.arguments)):
        arguments = [member.arguments[place] for member in function.members]
        if any(not isinstance(argument, torch.fx.Node) for argument in arguments):
            continue
        shapes = [argument.meta.get("shape", ()) for argument in arguments]
        for dimension in range(min(map(len, shapes), default=0)):
            if all(shape[dimension] == Affine(1) for shape in shapes):
                return place, dimension
    return None
