"""What is known about an entry point's inputs: names, shapes, ranges, and which embedding reads them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.fx
from torch import nn
from torch.nn import functional as F

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.merge import dimension
from hypergen_compiler.capture.prepare import seeded
from hypergen_compiler.capture.tape import Tape
from hypergen_compiler.program import Input

__all__ = ["describe_inputs", "find_vocabularies"]

TENSOR = torch.Tensor
REARRANGED = frozenset(
    {TENSOR.reshape, TENSOR.view, TENSOR.flatten, TENSOR.transpose, TENSOR.permute, TENSOR.contiguous}
)


def describe_inputs(model: nn.Module, point: EntryPoint, sizes: Sequence[int], tape: Tape) -> tuple[Input, ...]:
    """The positional inputs, named as in the user's function; `n` is the integer that equals the batch size."""
    runs = []
    for size in sizes:
        with seeded():
            runs.append(point.example(size))
    names = input_names(model, point, tape, len(runs[0]))
    return tuple(
        describe_input(name, column, sizes) for name, column in zip(names, zip(*runs, strict=True), strict=True)
    )


def describe_input(name: str, values: Sequence[Any], sizes: Sequence[int]) -> Input:
    first = values[0]
    if not isinstance(first, torch.Tensor):
        follows = all(type(value) is int and value == size for value, size in zip(values, sizes, strict=True))
        return Input("n" if follows else name, None, value=None if follows else first)
    shape = tuple(dimension(column, sizes) for column in zip(*(value.shape for value in values), strict=True))
    if not first.numel() or first.is_complex():
        return Input(name, shape, first.dtype)
    low, high = min(v.min().item() for v in values), max(v.max().item() for v in values)
    return Input(name, shape, first.dtype, low, high)


def input_names(model: nn.Module, point: EntryPoint, tape: Tape, count: int) -> list[str]:
    """The parameter names of the outermost of the user's functions that takes the inputs."""
    for function in candidates(model, point):
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            continue
        plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(plain) >= count and function is not point.call:
            return distinct(plain[:count])
        if len(plain) == count + 1:
            return distinct(plain[1:])
    return ["x"] if count == 1 else [f"input_{number}" for number in range(count)]


def candidates(model: nn.Module, point: EntryPoint) -> list[Any]:
    method = getattr(model, point.method, None) if point.method else None
    return [method] if method is not None else [point.call]


def distinct(names: list[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name}_{position}" for position, name in enumerate(names)]


def find_vocabularies(inputs: Sequence[Input], graph: torch.fx.Graph) -> tuple[Input, ...]:
    """Gives integer inputs that an embedding reads the number of its rows."""
    result = []
    for item, node in zip(inputs, graph.find_nodes(op="placeholder"), strict=True):
        rows = vocabulary(node)
        result.append(replace(item, vocabulary=rows) if rows else item)
    return tuple(result)


def vocabulary(node: torch.fx.Node) -> int | None:
    """Below what the values of an input lie: the rows of the embedding that reads all of it, or reads a part of it if a
    cross-entropy expects as many classes there. A part alone says nothing of the rest, which may hold a further token.
    """
    whole = reached(node, REARRANGED)
    rows = next(filter(None, (rows_of(user, read) for read in whole for user in read.users)), None)
    if rows:
        return rows
    parts = reached(node, {*REARRANGED, TENSOR.__getitem__})
    classes = {classes_of(user, read) for read in parts for user in read.users} - {None}
    return next((rows for read in parts for user in read.users if (rows := rows_of(user, read)) in classes), None)


def reached(node: torch.fx.Node, calls: Collection[Any]) -> list[torch.fx.Node]:
    """A node, and what `calls` make of it."""
    further = [user for user in node.users if user.target in calls and user.args[:1] == (node,)]
    return [node, *(found for user in further for found in reached(user, calls))]


def rows_of(user: torch.fx.Node, node: torch.fx.Node) -> int | None:
    if user.target is not F.embedding or user.args[:1] != (node,):
        return None
    weight = user.args[1] if len(user.args) > 1 else user.kwargs.get("weight")
    return weight.meta["shape"][0] if isinstance(weight, torch.fx.Node) else None


def classes_of(user: torch.fx.Node, node: torch.fx.Node) -> int | None:
    if user.target is not F.cross_entropy or user.args[1:2] != (node,):
        return None
    logits = user.args[0]
    return logits.meta["shape"][1] if isinstance(logits, torch.fx.Node) else None
