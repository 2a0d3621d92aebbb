"""The captured program: what every later stage reads, on torch.fx graphs.

A `Program` has one `Entry` per entry point. In an entry's graph a call is a `call_function` node whose target is the
very function that the model called (`F.conv2d`, `torch.Tensor.view`), weights and buffers are `get_attr` nodes with the
model's own dotted names, inputs are placeholders. Numbers that follow the batch size stand in the arguments as `Affine`
or `Curve`, values that differ between training and evaluation as `Choice`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.fx

from hypergen_compiler.sizes import TERMS, Affine, Curve, Dimension, Extent, Half

__all__ = [
    "Affine",
    "Buffer",
    "Choice",
    "Container",
    "Curve",
    "Dimension",
    "Entry",
    "Extent",
    "Half",
    "Input",
    "Module",
    "Parameter",
    "Program",
    "TERMS",
    "project",
]


@dataclass(frozen=True)
class Choice:
    """A value that differs between training and evaluation, such as the `training` flag of dropout."""

    training: Any
    evaluation: Any


@dataclass(frozen=True)
class Container:
    """An output of a class of another library's: printed as a NamedTuple of the same fields."""

    name: str
    fields: tuple[str, ...]
    values: tuple[Any, ...] = field(compare=False)


@dataclass(frozen=True)
class Module:
    """One module of the model: its dotted path, its class, and whether torch.nn brings it."""

    path: str
    name: str
    builtin: bool
    container: bool = False


def project(value: Any, *path: int | str) -> Any:
    """One tensor of a call that returns several: the element of a nested tuple or dict at `path`."""
    for step in path:
        value = value[step]
    return value


@dataclass(frozen=True)
class Input:
    """One positional input of an entry point.

    `shape` is None for an input that is not a tensor: the batch size `n` itself, or a fixed value.
    `low` and `high` are the smallest and largest value of the example (its integers' range, if they are integers).
    `vocabulary` is the number of rows of the embedding that an integer input indexes, where the model shows it.
    """

    name: str
    shape: tuple[Dimension, ...] | None
    dtype: torch.dtype | None = None
    low: float = 0.0
    high: float = 1.0
    vocabulary: int | None = None
    value: Any = None

    @property
    def is_tensor(self) -> bool:
        return self.shape is not None

    @property
    def is_batch(self) -> bool:
        """Whether the input is the batch size itself."""
        return self.shape is None and self.name == "n" and self.value is None


@dataclass(frozen=True)
class Parameter:
    """A parameter of the model under its first name; `aliases` are the other names of a tied one.

    `trained` is False for a frozen parameter, for one that no entry point reads, and for a `critic`'s, which is trained
    beside the hypernetwork and not emitted by it.
    """

    name: str
    value: torch.Tensor = field(repr=False, compare=False)
    aliases: tuple[str, ...] = ()
    trained: bool = True
    read: bool = True
    critic: bool = False


@dataclass(frozen=True)
class Buffer:
    """A buffer of the model, as it is when training starts."""

    name: str
    value: torch.Tensor = field(repr=False, compare=False)
    aliases: tuple[str, ...] = ()
    persistent: bool = True


@dataclass(frozen=True)
class Entry:
    """One entry point, recorded.

    `output` is the returned structure with graph nodes in the place of tensors; `shapes` are those of its tensors.
    `origin` is where the user wrote it, `file:line`, the file without its folder.
    `evaluation` is the entry of evaluation mode where the two modes are different programs, else None.
    `free_size` is the name of the second free size, `length` or `side`, where the entry point has one, and `other_size`
    a value of it besides the example's.
    `differentiable` tells whether the first output carries a gradient to the weights, `knows_mode` whether training
    and evaluation differ in anything; `only` is the mode that the model runs in where it fails in the other.
    """

    name: str
    origin: str
    inputs: tuple[Input, ...]
    graph: torch.fx.Graph = field(repr=False, compare=False)
    output: Any = field(repr=False, compare=False)
    shapes: tuple[tuple[Dimension, ...], ...] = ()
    free_size: str | None = None
    other_size: int | None = None
    differentiable: bool = True
    draws_random_numbers: bool = False
    knows_mode: bool = True
    evaluation: Entry | None = field(default=None, repr=False, compare=False)
    only: str | None = None

    @property
    def graphs(self) -> tuple[torch.fx.Graph, ...]:
        """The graph, or two where training and evaluation are different programs."""
        return (self.graph, *(self.evaluation.graphs if self.evaluation else ()))


@dataclass(frozen=True)
class Program:
    """Everything that was learned from the model.

    `name` is the emitted package's, `model` the class's, `source` how the model was made, for headers and the manifest.
    `loss`, `sample` and `critic`, the critic's loss, name the entries that training uses, or are None.
    `recorded_values` is False where the model was too large to run and was recorded by shapes alone. `frozen` are
    sentences about decisions taken while recording.
    """

    name: str
    model: str
    source: str
    entries: tuple[Entry, ...]
    parameters: tuple[Parameter, ...]
    buffers: tuple[Buffer, ...]
    modules: tuple[Module, ...] = ()
    loss: str | None = None
    sample: str | None = None
    critic: str | None = None
    constants: dict[str, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)
    recorded_values: bool = True
    frozen: tuple[str, ...] = ()

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)
