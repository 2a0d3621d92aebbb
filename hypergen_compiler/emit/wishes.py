"""What values and loop variables would best be called, where the user's own statements do not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.layer_names import called_by, is_layer, layer_name
from hypergen_compiler.emit.names import snake
from hypergen_compiler.emit.origins import element_of, own_scope
from hypergen_compiler.emit.parameter_names import element_name, parameter_name
from hypergen_compiler.fold import Call, Column, Loop
from hypergen_compiler.fold.items import Item, Operation

__all__ = ["column_name", "name_of_chain", "name_of_operand", "name_of_reader", "name_when_handed", "others"]

LONGEST_CHAIN = 3  # calls from one of several results to what the user gives a name to
Names = Mapping[Any, Any]


def tensors_of(item: Item) -> list[torch.fx.Node]:
    """What an item reads besides weights and numbers."""
    return [leaf for leaf in item.leaves if isinstance(leaf, torch.fx.Node)]


def name_of_reader(flow: Flow, wanted: Names, out: Any) -> str | None:
    """What the user calls that which is made from one of several results: `q`, where a part becomes `q` at once."""
    for _ in range(LONGEST_CHAIN):
        readers = flow.uses[out]
        position = readers[0][0] if len(readers) == 1 else AFTER
        if position not in flow.root:
            return None
        place = flow.root[position]
        reader = flow.body[position if place == AFTER else place]
        if isinstance(reader, Call):
            return reader.region.scope.arguments.get(out)
        if len(reader.outs) != 1:
            return None
        (out,) = reader.outs
        if wanted.get(out) is not None:
            return wanted[out]
    return None


def name_of_chain(flow: Flow, wanted: Names, out: Any, position: int) -> str | None:
    """What the user calls that which layers make of a layer's output alone, or a function's, which is `h` too."""
    item = flow.body[position]
    if not (is_layer(flow.region, item) or isinstance(item, Call)) or flow.function.option_at(position) is not None:
        return None
    for _ in range(LONGEST_CHAIN):
        readers = flow.uses[out]
        place = readers[0][0] if len(readers) == 1 else AFTER
        item = flow.body[place] if place in flow.root else None
        if item is None or len(item.outs) != 1 or len(tensors_of(item)) != 1:
            return None
        (out,) = item.outs
        if wanted.get(out) is not None:
            return wanted[out]
    return None


def name_when_handed(flow: Flow, out: Any) -> str | None:
    """What a function that is handed a value calls it, whether or not it reads it."""
    for item in flow.body:
        scope = item.region.scope if isinstance(item, Call) else item.node.meta["scope"]
        while scope is not None and scope is not own_scope(flow.region):
            if out in scope.arguments:
                return scope.arguments[out]
            scope = scope.parent
    return None


def name_of_operand(flow: Flow, out: Any) -> str | None:
    """What this function's own operations call a value that they read: `shift`, where they take `self.shift`."""
    own = own_scope(flow.region)
    for item in flow.body:
        call = item.node.meta["call"] if isinstance(item, Operation) else None
        if call is None or call.scope is None or not call.scope.inside(own) or out in call.scope.arguments:
            continue
        for place, argument in [*enumerate(item.node.args), *item.node.kwargs.items()]:
            if argument is out and place in call.operands:
                return call.operands[place]
    return None


def others(flow: Flow, names: Names, name: str | None, item: Item) -> list[str]:
    """What says how a value differs from a living one of its name: what made it, or what it was made from."""
    made = layer_name(flow.region, item)
    if name is not None:
        own = [made] if is_layer(flow.region, item) else []
        return [*own, f"{made}_{name}"] if made != name else []
    read = next((names[leaf] for leaf in map(flow.alias, item.leaves) if leaf in names), None)
    return [f"{read}_{made}"] if read not in (None, made) else []


def column_name(flow: Flow, names: Names, loop: Loop, column: Column) -> str:
    """What a loop variable is called: an element of the list that it runs over, or the argument that it fills."""
    if column.kind == "index":
        return "i"
    if column.kind in ("w", "state"):
        suffix = "_state" if column.kind == "state" else ""
        listed = str(column.prefix[-1]) if column.prefix and isinstance(column.values[0], int) else ""
        known = element_of(flow.region, listed) or called_variable(flow, loop, column)
        if known is None:
            known = element_name(listed) if listed else class_word(flow, loop, column)
        return known + suffix
    if column.kind == "number":
        step, leaf = next(k for k, place in loop.places.items() if place[0] == "column" and place[1] is column)
        return parameter_name(flow.body[loop.start + step], leaf)
    known = next((names[flow.alias(v)] for v in column.values if flow.alias(v) in names), "x")
    return f"{known}_{'i' if not known.endswith('_i') else 'j'}"


def takers(flow: Flow, loop: Loop, column: Column) -> Iterator[Item]:
    """The items of a loop that read a loop variable."""
    for (step, _), place in loop.places.items():
        if place[0] == "column" and place[1] is column:
            yield flow.body[loop.start + step]


def called_variable(flow: Flow, loop: Loop, column: Column) -> str | None:
    """The variable by which the user calls the modules that a loop runs over."""
    found = (called_by(item) for item in takers(flow, loop, column))
    return next((name for name in found if name is not None), None)


def class_word(flow: Flow, loop: Loop, column: Column) -> str:
    for item in takers(flow, loop, column):
        if isinstance(item, Call):
            return snake(item.region.scope.owner or item.function.name).rpartition("_")[2]
    return "part"
