"""The tree of modules that a layout's names describe, with what becomes of their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Module", "emission", "module_tree"]


@dataclass
class Module:
    """`weights` counts those of everything below; `tensors` are its own: name, shape, and what becomes of them."""

    name: str
    weights: int = 0
    kinds: set[str] = field(default_factory=set)
    tensors: list[tuple[str, list[int], str]] = field(default_factory=list)
    children: dict[str, Module] = field(default_factory=dict)


def module_tree(name: str, layout: Mapping[str, Any]) -> Module:
    """The model as its weights' names nest it."""
    root = Module(name)
    for slot in layout["slots"]:
        *path, last = slot["name"].split(".")
        kind, node = emission(slot, layout), root
        for step in (None, *path):
            node = node if step is None else node.children.setdefault(step, Module(step))
            node.weights += math.prod(slot["shape"])
            node.kinds.add(kind)
        node.tensors.append((last, slot["shape"], kind))
    return root


def emission(slot: Mapping[str, Any], layout: Mapping[str, Any]) -> str:
    """What becomes of a tensor: `for each dataset`, `the same for all`, `trained beside` or `kept as it is`."""
    if slot["trained"]:
        return "for each dataset" if slot["conditioned"] else "the same for all"
    return "trained beside" if slot["offset"] >= layout.get("critic", layout["size"]) else "kept as it is"
