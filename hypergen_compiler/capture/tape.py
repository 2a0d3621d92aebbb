"""What one run of an entry point leaves behind: its calls in order, and the scopes that they ran in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor

from hypergen_compiler.capture.steps import Iteration
from hypergen_compiler.program import Container

__all__ = ["Call", "Ref", "Scope", "Tape", "Written", "fill", "references", "same_values", "tensors"]


class Ref(NamedTuple):
    """A tensor of a run: `kind` is value, parameter, buffer, input or constant, `key` its number or name."""

    kind: str
    key: int | str


@dataclass(eq=False)
class Scope:
    """One call of one of the user's functions; `arguments` and `returned` name the tensors that went in and out.

    `outline` has an element for each that a caller can give a name to: its tensors, none for what is no tensor itself.

    `path` is the module that the function is a method of, None for a plain function. `site` is where the caller puts
    the result: the scope that it runs in and the names there; `called` is the caller's line,
    `callee` the variable that it calls: `block` of `for block in blocks`.
    """

    parent: Scope | None = None
    function: str = ""
    owner: str | None = None
    path: str | None = None
    where: str = ""
    arguments: dict[Any, str] = field(default_factory=dict)
    returned: list[Any] = field(default_factory=list)
    outline: list[Any] = field(default_factory=list)
    keys: dict[Any, str] = field(default_factory=dict)
    site: Written | None = None
    code: Any = None
    called: str | None = None
    callee: str | None = None

    def inside(self, other: Scope) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            scope = scope.parent
        return False

    def is_beside(self, other: Scope) -> bool:
        """Whether one function calls both, which are the same function."""
        return self.parent is other.parent and self.code is other.code


class Written(NamedTuple):
    """The names that the user's statement gives to a call's result, and the scope of that statement.

    `turn` counts the results where they came to the statement one by one.
    """

    scope: Scope
    names: Any
    turn: int | None = None


@dataclass(eq=False)
class Call:
    """One recorded call; tensors in `args`, `kwargs` and `out` are `Ref`s, `writes` the storages that it changed.

    `layer` is the path of torch's own module that makes it, `callee` the variable that the user calls that by.
    """

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    grad: bool
    out: Any = None
    writes: frozenset[int] = frozenset()
    random: bool = False
    scope: Scope | None = None
    written: Written | None = None
    layer: str | None = None
    callee: str | None = None
    where: str | None = None
    mode: str | None = None
    reflected: bool = False
    operands: dict[int | str, str] = field(default_factory=dict)
    iteration: Iteration | None = None
    tracked: bool = False


@dataclass
class Tape:
    """One run: `shapes`, `dtypes` and `storages` describe every `Ref`, `out` is the returned structure.

    `constants` are tensors that no recorded call made; those among `aliases` share memory with one that did, and so
    change with it. `reseeded` tells whether something else than a recorded call moved the random generator.
    """

    calls: list[Call] = field(default_factory=list)
    shapes: dict[Ref, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[Ref, torch.dtype] = field(default_factory=dict)
    storages: dict[Ref, int] = field(default_factory=dict)
    constants: dict[Ref, torch.Tensor] = field(default_factory=dict)
    constant_places: dict[Ref, str | None] = field(default_factory=dict)
    out: Any = None
    differentiable: bool = False
    rebound: dict[str, Ref] = field(default_factory=dict)
    escapes: list[Escape] = field(default_factory=list)
    root: Scope = field(default_factory=Scope)
    constant_ids: set[int] = field(default_factory=set)
    reseeded: bool = False
    aliases: set[Ref] = field(default_factory=set)
    free_size: int | None = None

    def substitute(self, kept: Ref) -> Ref:
        """A new value that stands for a tensor in all calls so far, and has its memory: views of it are views still."""
        value = Ref("value", len(self.shapes))
        self.shapes[value], self.dtypes[value] = self.shapes[kept], self.dtypes[kept]
        self.storages[value] = self.storages[kept]

        def instead(item: Any) -> Any:
            return value if item == kept else item

        for call in self.calls:
            call.args, call.kwargs, call.out = (fill(part, instead) for part in (call.args, call.kwargs, call.out))
        self.rebound = {name: instead(ref) for name, ref in self.rebound.items()}
        self.out = fill(self.out, instead)
        return value


class Escape(NamedTuple):
    """A value that left the graph, such as by `.item()`: what it was computed from, by which call, and where.

    A `guard` decides nothing but whether an error is raised.
    """

    sources: frozenset[str]
    buffers: frozenset[Ref]
    call: str
    where: str | None
    guard: bool = False


def fill(structure: Any, leaf: Callable[[Any], Any]) -> Any:
    """The same structure of tuples, lists, dicts, slices, NamedTuples and `Container`s with every leaf replaced."""
    if isinstance(structure, Ref):
        return leaf(structure)
    if isinstance(structure, Container):
        return replace(structure, values=fill(structure.values, leaf))
    if isinstance(structure, slice):
        return slice(*(fill(part, leaf) for part in (structure.start, structure.stop, structure.step)))
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(fill(item, leaf) for item in structure))
    if isinstance(structure, tuple):  # torch.Size and torch.return_types too
        return tuple(fill(item, leaf) for item in structure)
    if isinstance(structure, list):
        return [fill(item, leaf) for item in structure]
    if isinstance(structure, dict):
        return {key: fill(item, leaf) for key, item in structure.items()}
    return leaf(structure)


def references(structure: Any) -> Iterator[Ref]:
    """Every `Ref` of a structure, in order."""
    found: list[Ref] = []
    fill(structure, lambda item: found.append(item) if isinstance(item, Ref) else None)
    return iter(found)


def same_values(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal, NaNs included; fake ones, which have no values, if their shapes are."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if isinstance(one, FakeTensor) or isinstance(other, FakeTensor):
        return True
    return torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


def tensors(structure: Any) -> list[torch.Tensor]:
    """Every tensor of a structure, in order; dataclasses and mappings of other libraries are looked into as well."""
    if isinstance(structure, torch.Tensor):
        return [structure]
    if isinstance(structure, dict):
        return [tensor for item in structure.values() for tensor in tensors(item)]
    if isinstance(structure, tuple | list):
        return [tensor for item in structure for tensor in tensors(item)]
    if hasattr(structure, "__dataclass_fields__") and not isinstance(structure, type):
        return [tensor for name in structure.__dataclass_fields__ for tensor in tensors(getattr(structure, name))]
    return []
