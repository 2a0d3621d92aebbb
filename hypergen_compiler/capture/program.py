"""Every entry point of a model, recorded, with the model's parameters, buffers and modules: the `Program`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
import torch.fx
from torch import nn

from hypergen_compiler.capture.checks import check_critic, check_escapes, check_loss, check_samples
from hypergen_compiler.capture.constants import name_constants
from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.fake import needs_faking
from hypergen_compiler.capture.graph import build_graph, nodes_in
from hypergen_compiler.capture.inputs import describe_inputs, find_vocabularies
from hypergen_compiler.capture.modes import merge_modes
from hypergen_compiler.capture.record import batch_sizes, record_mode
from hypergen_compiler.capture.registered import CRITIC, buffers, modules, parameters
from hypergen_compiler.capture.state import check_registered
from hypergen_compiler.capture.tape import Tape, fill
from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.program import Choice, Dimension, Entry, Extent, Input, Program

__all__ = ["capture"]


def capture(
    model: nn.Module,
    points: Sequence[EntryPoint],
    *,
    name: str,
    source: str,
    loss: str | None = None,
    sample: str | None = None,
    critic: str | None = None,
    allow_frozen: bool = False,
) -> Program:
    """Records the entry points of `model`, which is left as it was, and describes its parameters and buffers.

    `loss`, `sample` and `critic` name the entries that training uses; the last is the loss of the model's `critic`.
    `allow_frozen` keeps decisions that the model takes from its weights as they are now.

    Raises HG2xx for what cannot be recorded, each with the line of the user's code that is at fault.
    """
    check_registered(model)
    sizes = batch_sizes(model)
    constants: dict[str, torch.Tensor] = {}
    frozen: dict[str, None] = {}
    entries = tuple(
        record(model, point, sizes, constants, frozen, allow_frozen, trains=point.name in (loss, critic))
        for point in points
    )
    by_name = {entry.name: entry for entry in entries}
    if loss is not None:
        check_loss(by_name[loss])
        if sample is not None:
            check_samples(by_name[sample], by_name[loss])
        if critic is not None:
            check_critic(by_name[critic], CRITIC)
    return Program(
        name=name,
        model=type(model).__name__,
        source=source,
        entries=entries,
        parameters=parameters(model, entries, critic),
        buffers=buffers(model),
        modules=modules(model),
        loss=loss,
        sample=sample,
        critic=critic,
        constants=constants,
        frozen=tuple(frozen),
        recorded_values=not needs_faking(model),
    )


def record(
    model: nn.Module,
    point: EntryPoint,
    sizes: Sequence[int],
    constants: dict[str, torch.Tensor],
    frozen: dict[str, None],
    allow_frozen: bool,
    trains: bool,
) -> Entry:
    """One entry point in both modes: one program with `training` flags or, where they differ in more, two."""
    tapes = record_modes(model, point, sizes, trains)
    if len(tapes) == 1:
        ((only, tape),) = tapes.items()
        frozen.update(dict.fromkeys(check_escapes((tape,), point, allow_frozen=allow_frozen)))
        return replace(make_entry(model, point, tape, sizes, constants), only=only)
    training, evaluation = tapes["training"], tapes["evaluation"]
    if training.free_size != evaluation.free_size:
        return record(model, with_fixed_size(point), sizes, constants, frozen, allow_frozen, trains)
    frozen.update(dict.fromkeys(check_escapes((training, evaluation), point, allow_frozen=allow_frozen)))
    if merge_modes(training, evaluation) is not None:
        return make_entry(model, point, training, sizes, constants)
    other = make_entry(model, point, evaluation, sizes, constants)
    return make_entry(model, point, training, sizes, constants, other)


def record_modes(model: nn.Module, point: EntryPoint, sizes: Sequence[int], trains: bool) -> dict[str, Tape]:
    """The tapes of both modes, or evaluation's alone where the entry point does not run in training, by name.

    Flows whose batch norms can be inverted in evaluation alone have such samplers. What `trains` must run in training.
    """
    try:
        training = record_mode(model, point, sizes, training=True)
    except HyperGenError as failure:
        if failure.code != "HG202" or trains:
            raise
        with suppress(HyperGenError):
            evaluation = record_mode(model, point, sizes, training=False)
            sentence = f"{point.name} runs in evaluation mode alone, so the package's does the same in both"
            warnings.warn(f"{sentence} ({failure.what})", HyperGenWarning, stacklevel=2)
            return {"evaluation": evaluation}
        raise
    return {"training": training, "evaluation": record_mode(model, point, sizes, training=False)}


def with_fixed_size(point: EntryPoint) -> EntryPoint:
    return replace(point, example=lambda n: point.example(n))


def make_entry(
    model: nn.Module,
    point: EntryPoint,
    tape: Tape,
    sizes: Sequence[int],
    constants: dict[str, torch.Tensor],
    evaluation: Entry | None = None,
) -> Entry:
    inputs = describe_inputs(model, point, sizes, tape)
    graph, output = build_graph(tape, inputs)
    name_constants(graph, tape, constants, model)
    made = nodes_in(output)
    return Entry(
        name=point.name,
        origin=point.origin or "",
        inputs=find_vocabularies(inputs, graph),
        graph=graph,
        output=output,
        shapes=tuple(tuple(map(usual, node.meta["shape"])) for node in made),
        free_size=size_name(inputs) if tape.free_size is not None else None,
        other_size=tape.free_size,
        differentiable=tape.differentiable,
        draws_random_numbers=any(node.meta.get("random") for node in graph.nodes),
        evaluation=evaluation,
        knows_mode=evaluation is not None or knows_mode(graph, output),
    )


def knows_mode(graph: torch.fx.Graph, output: Any) -> bool:
    """Whether anything in a program of both modes is chosen by the mode."""
    leaves: list[Any] = []
    fill((output, [(node.args, node.kwargs) for node in graph.nodes]), leaves.append)
    return any(isinstance(leaf, Choice) for leaf in leaves) or any(node.meta.get("mode") for node in graph.nodes)


def usual(dimension: Dimension | Extent) -> Dimension:
    """A dimension as later stages know it: a free size is what it is in the example."""
    return dimension.usual if isinstance(dimension, Extent) else dimension


def size_name(inputs: Sequence[Input]) -> str:
    """`side` for pictures, `length` for everything else."""
    first = next(item for item in inputs if item.is_tensor)
    return "side" if len(first.shape) == 4 else "length"
