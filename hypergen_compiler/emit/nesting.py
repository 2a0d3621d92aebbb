"""Which values need no name of their own and stand where they are read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.layer_names import is_layer
from hypergen_compiler.emit.origins import written_name
from hypergen_compiler.fold import Call, Operation
from hypergen_compiler.fold.items import Item
from hypergen_compiler.fold.leaves import is_const

__all__ = ["nest_values"]


def nest_values(flow: Flow, own_line: Collection[int], *, is_dense: bool) -> None:
    """Nests single-use values that the user did not name, last argument first, past no effect out of order."""
    effects = [p for p in flow.printed if flow.body[p].random or flow.body[p].writes]
    for position in flow.printed:
        barrier = position
        for number in range(len(flow.body[position].leaves) - 1, -1, -1):
            leaf = flow.alias(flow.body[position].leaves[number])
            source = flow.definitions.get(leaf)
            if source is None or source in own_line or (position, number) in flow.places:
                continue
            inner = flow.tree[source]
            if not may_nest(flow, leaf, source, position, is_dense) or is_overtaken(flow, inner, position):
                continue
            moved = [p for p in inner if p in effects]
            if moved:
                if any(min(moved) < p < barrier and p not in inner for p in effects):
                    continue
                barrier = min(moved)
            nest(flow, leaf, source, position)
    inline_results(flow, own_line)


def nest(flow: Flow, leaf: Any, source: int, position: int) -> None:
    inner = flow.tree[source]
    flow.inlined[leaf] = source
    flow.tree[position] = flow.tree.get(position, set()) | inner
    for p in inner:
        flow.root[p] = position


def inline_results(flow: Flow, own_line: Collection[int]) -> None:
    """Nests unnamed values in the return statement, `return mean.exp(), shift + 1`, past nothing with an effect."""
    results = [flow.alias(node) for node in flow.region.results]
    effects = [p for p in flow.printed if flow.body[p].random or flow.body[p].writes]
    for leaf in results if len(results) > 1 else ():
        source = flow.definitions.get(leaf)
        if source is None or source in own_line or not may_stand_in_return(flow, leaf, source):
            continue
        if not is_overtaken(flow, flow.tree[source], AFTER) and not flow.tree[source] & set(effects):
            nest(flow, leaf, source, AFTER)


def may_stand_in_return(flow: Flow, leaf: Any, source: int) -> bool:
    item = flow.body[source]
    return (
        flow.uses[leaf] == [(AFTER, None)]
        and leaf not in flow.carried
        and source not in flow.loop_at
        and flow.function.option_at(source) is None
        and flow.root[source] == source
        and is_expression(flow, item)
        and (item.grad or not flow.region.grad)
        and item.mode is None
        and written_name(flow.region, item, leaf) is None
    )


def may_nest(flow: Flow, leaf: Any, source: int, position: int, is_dense: bool) -> bool:
    item = flow.body[source]
    return (
        len(flow.uses[leaf]) == 1
        and leaf not in flow.carried
        and flow.loop_at.get(source) is flow.loop_at.get(position)
        and flow.function.option_at(source) is flow.function.option_at(position)
        and flow.root[source] == source
        and source < position
        and is_expression(flow, item)
        and item.grad == flow.body[position].grad
        and item.mode == flow.body[position].mode
        and needs_no_name(flow, item, leaf, position, is_dense)
    )


def needs_no_name(flow: Flow, item: Item, leaf: Any, position: int, is_dense: bool) -> bool:
    """Whether the user gives a value no name, or in a dense function the name of what is called with it."""
    name, reader = written_name(flow.region, item, leaf), flow.body[position]
    if name is None or not is_dense or not isinstance(reader, Call) or len(reader.outs) > 1:
        return name is None
    (out,) = reader.outs
    plain = isinstance(item, Operation) and not is_layer(flow.region, item) and out not in flow.carried
    return plain and name == written_name(flow.region, reader, out)


def is_expression(flow: Flow, item: Item) -> bool:
    """Whether an item is an expression with one result that is wanted."""
    if isinstance(item, Operation) and item.node.meta["name"].endswith(("__setitem__", "__set__")):
        return False
    wanted = [out for out in item.outs if flow.uses[out]]
    if isinstance(item, Call):
        return len(item.outs) == 1
    return len(wanted) == 1 and all(len(out.args) == 2 for out in item.outs if out is not item.node)


def is_overtaken(flow: Flow, inner: set[int], position: int) -> bool:
    """Whether something between writes to a storage that the moved expression reads."""
    read = {
        leaf.meta.get("storage") for p in inner for leaf in flow.body[p].leaves if isinstance(leaf, torch.fx.Node)
    } | {leaf for p in inner for leaf in flow.body[p].leaves if not isinstance(leaf, torch.fx.Node)}
    between = (p for p in flow.printed if min(inner) < p < position and p not in inner)
    return any(flow.body[p].writes & read or writes_weight(flow, p, read) for p in between)


def writes_weight(flow: Flow, position: int, read: set[Any]) -> bool:
    item = flow.body[position]
    if not item.writes:
        return False
    touched = [leaf for leaf in item.leaves if not is_const(leaf) and not isinstance(leaf, torch.fx.Node)]
    return any(leaf in read for leaf in touched)
