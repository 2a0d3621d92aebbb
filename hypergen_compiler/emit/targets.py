"""What stands on the left of a statement: the names of its results, nested as the call returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.fx

from hypergen_compiler.fold import Call
from hypergen_compiler.fold.items import Item

__all__ = ["targets"]


def targets(item: Item, names: Mapping[Any, str]) -> str | None:
    """The left side of the statement that an item becomes, None where it has no results."""
    if isinstance(item, Call):
        return ", ".join(names.get(out, "_") for out in item.outs) or None
    if item.outs == [item.node]:
        return names.get(item.node, "_")
    if not item.outs:
        return None
    return pattern([(out.args[1:], names.get(out, "_")) for out in item.outs], item.node)


def pattern(results: list[tuple[tuple[Any, ...], str]], node: torch.fx.Node) -> str:
    """The left side that takes a call's nested results apart: `output, (hidden, cell)`."""
    tree: dict[Any, Any] = {}
    for path, name in results:
        level = tree
        for step in path[:-1]:
            level = level.setdefault(step, {})
        level[path[-1]] = name
    return nested_targets(tree, result_structure(node), outer=True)


def result_structure(node: torch.fx.Node) -> Any:
    return node.meta["call"].out


def nested_targets(tree: dict[Any, Any], structure: Any, *, outer: bool = False) -> str:
    parts = []
    for index in range(len(structure)):
        inner = tree.get(index, "_")
        parts.append(nested_targets(inner, structure[index]) if isinstance(inner, dict) else inner)
    text = ", ".join(parts) + ("," if len(parts) == 1 else "")
    return text if outer else f"({text})"
