"""Entry points: which calls of the model are recorded, and on what."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hypergen_compiler.emit.names import identifier
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.origin import relative
from hypergen_compiler.request.references import import_function, is_reference

__all__ = ["EntryPoint", "batches", "entry_name", "entry_points", "place"]

Call = Callable[..., Any]
PACKAGE_NAMES = frozenset(
    {"Weights", "State", "NamedTuple", "Any", "CONSTANTS", "layers", "n", "training"}
)  # of model.py


@dataclass(frozen=True)
class EntryPoint:
    """A call to record: `call(model, *inputs)` on `inputs = example(n)` for a batch of n; `origin` is its `file:line`.

    `method` is what the model has it under, or the reference by which a function of another module was named.
    An `example(n, size=32)` also gives other sequence lengths or picture sides, which are then free if they can be.
    """

    name: str
    call: Call
    example: Callable[[int], tuple[Any, ...]]
    origin: str | None = None
    method: str | None = None

    @property
    def usual_size(self) -> int | None:
        """The second size of the example, where `example(n, size)` takes one."""
        return second_size(self.example)


def second_size(example: Callable[..., Any]) -> int | None:
    """The default of an example function's second parameter: a sequence's length, or a picture's side."""
    try:
        parameters = list(inspect.signature(example).parameters.values())
    except (TypeError, ValueError):
        return None
    if len(parameters) < 2 or type(parameters[1].default) is not int:
        return None
    return parameters[1].default


def entry_points(
    model: nn.Module,
    example: Any,
    *,
    loss: str | Call | None = "loss",
    sample: str | Call | None = "sample",
    entries: Iterable[str] | Mapping[str, Any] = (),
) -> tuple[EntryPoint, ...]:
    """What `hypergen.compile` was asked to record, in order: the loss, the sampler, then the further entries.

    Raises HG201 for a method that the model lacks, and HG211 for two entry points of one name or for a name that no
    function of the package can have.
    """
    data = batches(example)
    found = []
    if loss is not None:
        found.append(entry_point(model, entry_name(loss, "loss"), loss, data))
    if sample is not None:
        found.append(entry_point(model, entry_name(sample, "sample"), sample, lambda n: (n,)))
    if isinstance(entries, str):
        entries = (entries,)
    for name, call in entries.items() if isinstance(entries, Mapping) else map(named, entries):
        own = data
        if isinstance(call, tuple):
            call, own = call[0], batches(call[1])
        if name not in {point.name for point in found if call in (point.call, point.method)}:
            found.append(entry_point(model, name, call, own))
    names = [point.name for point in found]
    for point in found:
        name = point.name
        if identifier(name) != name or name in PACKAGE_NAMES:
            raise HyperGenError(
                "HG211",
                f"an entry point cannot be called {name!r}: it becomes a function of the package",
                where=point.origin,
                remedy="Give it another name with a mapping: entries={'another_name': 'method'}.",
            )
        if names.count(name) > 1:
            raise HyperGenError(
                "HG211",
                f"two entry points are called {name!r}",
                where=point.origin,
                remedy="Give each entry point a name of its own.",
            )
    return tuple(found)


def entry_name(call: str | Call, usual: str) -> str:
    """What a loss or a sampler is called in the package: as the model's method, or as usual if it is a function."""
    return usual if callable(call) or is_reference(call) else call


def named(call: str) -> tuple[str, str]:
    """A further method under its name, or a referenced function under its own."""
    return (call.replace(":", ".").rpartition(".")[2] if is_reference(call) else call), call


def entry_point(model: nn.Module, name: str, call: str | Call, example: Callable[[int], tuple[Any, ...]]) -> EntryPoint:
    if callable(call):
        return EntryPoint(name, call, example, place(call))
    if is_reference(call):
        function = import_function(call)
        return EntryPoint(name, function, example, place(function), relative(call))
    method = getattr(type(model), call, None)
    if not callable(method):
        raise HyperGenError(
            "HG201",
            f"{type(model).__name__} has no method {call!r}",
            where=place(type(model)),
            remedy=f"It has {methods(model)}. Name one of these, give a function of (model, *inputs) (on the command "
            "line `module:function`), None (`none`) to leave the loss or the sampler out, or a recipe (`recipe=`, "
            "`--recipe`) for what is only a network.",
        )
    if call == "forward":  # through __call__, so that hooks run
        return EntryPoint(name, lambda module, *inputs: module(*inputs), example, place(method), call)
    return EntryPoint(name, lambda module, *inputs: getattr(module, call)(*inputs), example, place(method), call)


def methods(model: nn.Module) -> str:
    own = [
        name
        for name in dir(type(model))
        if not name.startswith("_") and callable(getattr(type(model), name)) and not hasattr(nn.Module, name)
    ]
    return ", ".join([*own, "forward"])


def place(item: Any) -> str | None:
    """`file:line` of a function or class, the file without its folder."""
    item = inspect.unwrap(item) if callable(item) and not isinstance(item, type) else item
    try:
        return f"{os.path.basename(inspect.getsourcefile(item) or '')}:{inspect.getsourcelines(item)[1]}"
    except (TypeError, OSError):
        return None


def batches(example: Any) -> Callable[[int], tuple[Any, ...]]:
    """A batch of any size from an example: a function of n, a tensor, or a tuple whose tensors share a first dimension.

    Further rows are made from the given ones by rotating their elements, which keeps every value in its range.
    """
    if callable(example) and not isinstance(example, torch.Tensor):
        usual = second_size(example)
        if usual is not None:
            return lambda n, size=usual: as_tuple(example(n, size))
        return lambda n: as_tuple(example(n))
    given = as_tuple(example)
    present = [item for item in given if isinstance(item, torch.Tensor) and item.ndim]
    size = present[0].shape[0] if present else 0

    def batch(n: int) -> tuple[Any, ...]:
        return tuple(
            resized(item, n) if isinstance(item, torch.Tensor) and item.ndim and item.shape[0] == size else item
            for item in given
        )

    return batch


def as_tuple(example: Any) -> tuple[Any, ...]:
    if isinstance(example, list | tuple):
        return tuple(example)
    if isinstance(example, torch.Tensor | int | float):
        return (example,)
    raise HyperGenError(
        "HG104",
        f"an example of type {type(example).__name__} is not a tensor or a tuple of tensors",
        remedy="Give what one call takes: a tensor, a tuple of tensors, or a function from n to such a tuple.",
    )


def resized(tensor: torch.Tensor, n: int) -> torch.Tensor:
    rounds = -(-n // max(1, tensor.shape[0]))
    flat = tensor.detach().reshape(len(tensor), -1)
    rows = [flat.roll(turn, dims=1).view(tensor.shape) for turn in range(rounds)]
    return torch.cat(rows)[:n].clone()
