"""What a folded function is made of: operations and calls, and the leaves of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.fx

from hypergen_compiler.capture.steps import Iteration
from hypergen_compiler.capture.tape import Scope
from hypergen_compiler.program import Affine, Choice, Entry, Extent, Ratio, project

__all__ = [
    "Call",
    "Const",
    "Constant",
    "Function",
    "Item",
    "Leaf",
    "Operation",
    "Part",
    "Region",
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


@dataclass(eq=False)
class Region:
    """One running of one of the user's functions, or of a whole entry point (`scope` None), in a graph.

    `arguments` and `results` are what crosses its border, `body` its items once inner functions are known.
    """

    scope: Scope | None
    parent: Region | None
    entry: Entry | None = None
    items: list[Any] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)
    results: list[torch.fx.Node] = field(default_factory=list)
    body: list[Item] = field(default_factory=list)
    bases: dict[str, str] = field(default_factory=dict)
    function: Function | None = None
    is_function: bool = False
    is_merged: bool = False
    grad: bool = True
    names: dict[Any, str] = field(default_factory=dict)
    inner: Scope | None = None
    mode_name: str | None = None

    @property
    def is_entry(self) -> bool:
        return self.parent is None

    @property
    def root_entry(self) -> Entry:
        """The entry point that the region is part of."""
        region = self
        while region.parent is not None:
            region = region.parent
        return region.entry

    def nodes(self) -> Iterator[torch.fx.Node]:
        for item in self.items:
            if isinstance(item, Region):
                yield from item.nodes()
            else:
                yield item


@dataclass(eq=False)
class Operation:
    """A recorded call as an item of a function's body."""

    node: torch.fx.Node
    leaves: list[Leaf]
    outs: list[torch.fx.Node]
    key: tuple[Any, ...]

    @property
    def grad(self) -> bool:
        return self.node.meta["grad"]

    @property
    def random(self) -> bool:
        return self.node.meta["random"]

    @property
    def writes(self) -> frozenset[Any]:
        return self.node.meta["writes"]

    @property
    def mode(self) -> str | None:
        return self.node.meta["mode"]

    @property
    def iteration(self) -> Iteration | None:
        return self.node.meta["call"].iteration

    @property
    def neutral(self) -> bool:
        """Whether the only result is what the first leaf is."""
        return self.node.meta.get("neutral", False)


@dataclass(eq=False)
class Call:
    """A call of a folded function, on behalf of one region."""

    region: Region
    function: Function
    leaves: list[Leaf]
    outs: list[torch.fx.Node]
    key: tuple[Any, ...]
    random: bool
    writes: frozenset[Any]
    mode: str | None
    iteration: Iteration | None

    @property
    def grad(self) -> bool:
        return self.region.grad

    @property
    def neutral(self) -> bool:
        return False


Item = Operation | Call


@dataclass(eq=False)
class Function:
    """A group of equal regions, printed once after the first, `model`.

    `parameters` are groups of places (item, leaf) whose numbers differ between members and become arguments;
    `explained` are places whose number is always `arguments[a].shape[d] ** power`, `inferred` sizes that the
    others imply. The batch size and the second free size are read from an argument's shape (`batch_from`, `size_from`),
    or taken as arguments where none shows them; so is the device of a function that makes tensors from nothing.
    """

    members: list[Region]
    parameters: list[list[tuple[int, int]]] = field(default_factory=list)
    explained: dict[tuple[int, int], tuple[int, int, float]] = field(default_factory=dict)
    inferred: set[tuple[int, int]] = field(default_factory=set)
    batch_from: tuple[int, int] | None = None
    takes_batch: bool = False
    size_from: tuple[int, int] | None = None
    takes_size: bool = False
    takes_device: bool = False
    spaces: tuple[str, ...] = ()
    uses_batch: bool = False
    uses_training: bool = False
    name: str = ""
    number_names: tuple[str, ...] = ()

    @property
    def model(self) -> Region:
        return self.members[0]

    @property
    def entry(self) -> Region | None:
        return next((member for member in self.members if member.is_entry), None)


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
    if is_number(value) or isinstance(value, Affine | Extent | Ratio | Choice):
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
