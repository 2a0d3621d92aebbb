"""Items that some of a function's regions leave out: where they stand, what tells, and what is there instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.fx

from hypergen_compiler.fold.leaves import Leaf

if TYPE_CHECKING:
    from hypergen_compiler.fold.items import Item

__all__ = ["Absent", "Option"]


@dataclass(frozen=True)
class Option:
    """The items from `start` to `end` of a function, which some of its regions leave out: `instead` stands for `out`.

    Those have nothing of `fields`, which are parts of the module (the space w or state, and the part's name), and
    nothing at the places `arguments`; all others have.
    """

    start: int
    end: int
    out: torch.fx.Node
    instead: Any
    fields: tuple[tuple[str, str], ...]
    arguments: tuple[int, ...]


@dataclass(eq=False)
class Absent:
    """An item of a function that one of its regions leaves out; `outs` are what stands there for its results."""

    item: Item
    outs: list[Any]
    random: bool = False
    writes: frozenset[Any] = frozenset()
    mode: str | None = None
    iteration: None = None
    neutral: bool = True

    @property
    def leaves(self) -> list[Leaf]:
        return self.item.leaves

    @property
    def key(self) -> tuple[Any, ...]:
        return self.item.key

    @property
    def grad(self) -> bool:
        return self.item.grad
