"""The leaves of a call's arguments: tensors, weights, records and numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.fx

from hypergen_compiler.program import Affine, Choice, Curve, Extent, Half, project

__all__ = [
    "Const",
    "Constant",
    "Leaf",
    "Part",
    "Weight",
    "count_leaves",
    "identity",
    "is_call",
    "is_const",
    "is_number",
    "leaf_of",
    "walk",
]


class Weight(NamedTuple):
    """A parameter (`space` w) or a buffer (`space` state) by its name in the model."""

    space: str
    name: str


class Part(NamedTuple):
    """The record of weights or of buffers of the module at `path`."""

    space: str
    path: str


class Constant(NamedTuple):
    """A tensor that the model holds outside of its parameters and buffers."""

    name: str


@dataclass(frozen=True)
class Const:
    """A number of an argument: plain, following the batch size, or depending on the mode.

    `real` marks an operand of floating-point arithmetic, where 1 and 1.0 are the same.
    """

    value: Any
    real: bool = False

    def key(self) -> tuple[str, str]:
        if self.real and is_number(self.value):
            return "real", repr(float(self.value))
        return type(self.value).__name__, repr(self.value)


Leaf = torch.fx.Node | Weight | Part | Constant | Const


def is_call(node: Any) -> bool:
    return isinstance(node, torch.fx.Node) and node.op == "call_function" and node.target is not project


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_const(leaf: Leaf) -> bool:
    return isinstance(leaf, Const)


def leaf_of(node: torch.fx.Node) -> Leaf:
    """A graph node as a leaf: weights, buffers and constants by name, so that they are equal across graphs."""
    if node.op != "get_attr":
        return node
    if node.meta["kind"] == "constant":
        return Constant(node.target)
    return Weight("w" if node.meta["kind"] == "parameter" else "state", node.target)


def walk(value: Any, leaf: Callable[[Leaf], Any]) -> Any:
    """Calls `leaf` for every tensor and number of an argument, in order; returns the rest as a hashable pattern."""
    if isinstance(value, torch.fx.Node):
        found = leaf_of(value)
        leaf(found)
        return type(found).__name__
    if is_number(value) or isinstance(value, Affine | Curve | Half | Extent | Choice):
        leaf(Const(value))
        return "mode" + repr(value) if isinstance(value, Choice) else "number"
    if isinstance(value, slice):
        return ("slice", *(walk(part, leaf) for part in (value.start, value.stop, value.step)))
    if isinstance(value, tuple | list):
        return (type(value).__name__, *(walk(item, leaf) for item in value))
    if isinstance(value, dict):
        return ("dict", *((key, walk(item, leaf)) for key, item in value.items()))
    return identity(value)


def count_leaves(argument: Any) -> int:
    """How many leaves an argument has."""
    found: list[Leaf] = []
    walk(argument, found.append)
    return len(found)


def identity(value: Any) -> str:
    """What tells a plain argument from another: its text for torch's constants, its object otherwise."""
    plain = (str, bool, type(None), torch.dtype, torch.device, torch.memory_format, torch.layout)
    return repr(value) if value is ... or isinstance(value, plain) else f"object {id(value)}"
