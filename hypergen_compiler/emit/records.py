"""The tree of NamedTuples that mirrors the module tree, for weights and again for buffers.

A user's module becomes a record, a list of modules a tuple, and the layers that torch.nn brings are spread into their
owner's fields: `stem.weight` is `w.stem_weight`, `blocks.0.conv1.weight` is `w.blocks[0].conv1_weight`. A batch
normalisation, which has weights and buffers, is a record in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from hypergen_compiler.emit.text import Code

__all__ = ["Field", "Record", "Records", "Steps", "join", "one_of", "reach"]

Steps = tuple["str | int", ...]
# The root's fields are a module's.
STATE_NAMES_TAKEN = frozenset({"tensors", "to_state_dict", "copied", *dir(torch.nn.Module())})


@dataclass
class Field:
    """One field of a record: a tensor (`record` None), a record, or with `items` a tuple of either.

    `path` is relative to the record's own module path. An `optional` one is None for modules that have no such part.
    """

    name: Code
    path: str
    record: Record | None = None
    items: list[tuple[str, Record | None]] | None = None
    optional: bool = False

    def signature(self) -> tuple[object, ...]:
        if self.optional:
            return self.name, self.path, "optional"
        return self.name, self.path, id(self.record), tuple((path, id(item)) for path, item in self.items or ())


@dataclass(eq=False)
class Record:
    """A NamedTuple class; `paths` are the modules that it stands for, `shapes` those of its tensors in all of them."""

    name: Code
    fields: list[Field]
    paths: list[str] = field(default_factory=list)
    shapes: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)

    def signature(self) -> tuple[object, ...]:
        return tuple(item.signature() for item in self.fields)


@dataclass
class Records:
    """All records of one kind: `steps` leads from the root to each tensor, `nodes` to each module that is a record.

    `optional` are the parts that a module has or lacks, by its path; None where that is not decided yet.
    """

    root: Record
    classes: list[Record]
    steps: dict[str, Steps]
    nodes: dict[str, tuple[Steps, Record]]
    optional: Mapping[str, Sequence[str]] | None = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Whether there is a tensor of that name, or one inside of a module of that name."""
        return any(name == path or name.startswith(f"{path}.") for name in self.steps)

    def may_lack(self, paths: Iterable[str], part: str) -> bool:
        """Whether the records of modules say that they may have no such part."""
        return self.optional is None or all(part in self.optional.get(path, ()) for path in paths)

    def is_optional(self, tensor: str) -> bool:
        """Whether a tensor is of a part that other modules lack."""
        parts = [join(path, part) for path, some in (self.optional or {}).items() for part in some]
        return any(tensor == part or tensor.startswith(f"{part}.") for part in parts)

    def base(self, path: str) -> str:
        """The nearest module at or above `path` that is a record."""
        while path not in self.nodes:
            path = path.rpartition(".")[0]
        return path


def reach(variable: str, steps: Iterable[str | int]) -> Code:
    """The expression that follows steps from a variable: `w.blocks[0].conv1_weight`."""
    return Code(variable + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps))


def one_of(plural: str) -> str:
    """The singular of a list's name."""
    if plural.endswith("ies"):
        return plural[:-3] + "y"
    return plural[:-1] if plural.endswith("s") and not plural.endswith("ss") and len(plural) > 2 else plural


def relative(path: str, owner: str) -> str:
    return path[len(owner) + 1 :] if owner else path


def join(owner: str, path: str) -> str:
    return f"{owner}.{path}" if owner else path
