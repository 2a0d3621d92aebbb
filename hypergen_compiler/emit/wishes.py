"""What values and loop variables would best be called, where the user's own statements do not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.names import snake
from hypergen_compiler.emit.origins import element_of, is_layer, layer_name
from hypergen_compiler.emit.parameter_names import element_name, parameter_name
from hypergen_compiler.fold import Call, Column, Loop
from hypergen_compiler.fold.items import Item

__all__ = ["column_name", "name_of_chain", "name_of_reader", "others"]

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
    """What the user calls that which layers make of a layer's output alone, which is `h` too."""
    if not is_layer(flow.body[position]) or flow.function.option_at(position) is not None:
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


def others(flow: Flow, names: Names, name: str | None, item: Item) -> list[str]:
    """What says how a value differs from a living one of its name: what made it, or what it was made from."""
    made = layer_name(item)
    if name is not None:
        own = [made] if is_layer(item) else []
        return [*own, f"{made}_{name}"] if made != name else []
    read = next((names[leaf] for leaf in map(flow.alias, item.leaves) if leaf in names), None)
    return [f"{read}_{made}"] if read not in (None, made, "_") else []


def column_name(flow: Flow, names: Names, loop: Loop, column: Column) -> str:
    """What a loop variable is called: an element of the list that it runs over, or the argument that it fills."""
    if column.kind == "index":
        return "i"
    if column.kind in ("w", "state"):
        suffix = "_state" if column.kind == "state" else ""
        listed = str(column.prefix[-1]) if column.prefix and isinstance(column.values[0], int) else ""
        known = element_of(flow.region, listed)
        if known is not None:
            return known + suffix
        return element_name(listed or class_word(flow, loop, column)) + suffix
    if column.kind == "number":
        step, leaf = next(k for k, place in loop.places.items() if place[0] == "column" and place[1] is column)
        return parameter_name(flow.body[loop.start + step], leaf)
    known = next((names[flow.alias(v)] for v in column.values if flow.alias(v) in names), "x")
    return f"{known}_{'i' if not known.endswith('_i') else 'j'}"


def class_word(flow: Flow, loop: Loop, column: Column) -> str:
    for (step, _), place in loop.places.items():
        item = flow.body[loop.start + step]
        if place[0] == "column" and place[1] is column and isinstance(item, Call):
            return snake(item.region.scope.owner or item.function.name).rpartition("_")[2]
    return "part"
