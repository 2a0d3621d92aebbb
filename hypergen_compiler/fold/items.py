"""What a folded function is made of: regions, operations and calls of other functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import torch.fx

from hypergen_compiler.capture.steps import Iteration
from hypergen_compiler.capture.tape import Scope
from hypergen_compiler.fold.leaves import Leaf
from hypergen_compiler.fold.option import Option
from hypergen_compiler.program import Entry

__all__ = ["Call", "Function", "Item", "Operation", "Region"]


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
    options: list[Option] = field(default_factory=list)

    @property
    def optional_arguments(self) -> frozenset[int]:
        """The places of arguments that may be None."""
        return frozenset(place for option in self.options for place in option.arguments)

    @property
    def defaults(self) -> int:
        """How many of the last parameters need not be given."""
        more = (self.takes_batch, self.takes_size, self.uses_training, self.takes_device, self.parameters)
        if any(more):
            return 0
        places = range(len(self.model.arguments) - 1, -1, -1)
        return sum(1 for _ in takewhile(lambda place: place in self.optional_arguments, places))

    def option_at(self, position: int) -> Option | None:
        return next((option for option in self.options if option.start <= position < option.end), None)

    @property
    def model(self) -> Region:
        return self.members[0]

    @property
    def entry(self) -> Region | None:
        return next((member for member in self.members if member.is_entry), None)
