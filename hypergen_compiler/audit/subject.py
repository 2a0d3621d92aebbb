"""What can be audited: a run of a package, samples, or a plain model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hypergen_compiler.audit.items import Items, named_arrays, read_items, state_dict_of
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.datafile import as_input
from hypergen_compiler.request.example import count_inputs
from hypergen_compiler.request.references import bound
from hypergen_compiler.request.source import resolve_model

__all__ = ["Reader", "Subject", "plain_model", "samples"]

TRIED = 8  # items of the call that tells whether the data fit


@dataclass(frozen=True)
class Reader:
    """A hypernetwork: a dataset to weights [SIZE], and n samples under them."""

    emit: Callable[[tuple[Tensor, ...]], Tensor]
    sample: Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Subject:
    """`sample(n)` gives n items like the first input, or all there are; `loss(*inputs)` the loss where there is one;
    `reader` is what emits the weights, where that is a hypernetwork."""

    name: str
    kind: str
    sample: Callable[[int], Tensor]
    loss: Callable[..., Tensor] | None = None
    reader: Reader | None = None


def samples(path: Path, data: Path, labels: str | None) -> tuple[Subject, Items]:
    """Samples in a file, and the data that they are compared with. Raises HG702 where they are no such items."""
    items = read_items(data, labels, None)
    drawn = as_input(next(iter(named_arrays(path).values())))
    real = items.inputs[0]
    if drawn[0].numel() != real[0].numel() or drawn.is_floating_point() != real.is_floating_point():
        raise HyperGenError(
            "HG702",
            f"the samples of {path} are {described(drawn)}, the items of {data} {described(real)}",
            remedy="Give samples of the same kind as the data.",
        )
    if len(drawn) < 2:
        raise HyperGenError("HG702", f"{path} holds {len(drawn)} sample", remedy="Give some hundred at least.")
    drawn = drawn.reshape(len(drawn), *real.shape[1:])
    return Subject(path.name, "samples", lambda n: drawn[:n]), items


def plain_model(
    source: str,
    settings: dict[str, Any],
    weights: Path | None,
    methods: tuple[str, str],
    data: Path,
    labels: str | None,
) -> tuple[Subject, Items]:
    """The model that a source names, with the weights of a file, its methods for loss and samples, and its data.

    Raises what finding the model raises, HG201 for a method that it does not have, HG702 where weights or data do not
    fit it.
    """
    found = resolve_model(source, settings)
    model = found.model.eval().requires_grad_(False)
    if weights is not None:
        load(model, weights)
    loss, sample = (bound(model, name) for name in methods)
    for name, method in zip(methods, (loss, sample), strict=True):
        if not callable(method):
            raise HyperGenError(
                "HG201", f"{found.description} has no method {name}", remedy="Name it with --loss or --sample."
            )
    items = read_items(data, labels, count_inputs(loss))
    subject = Subject(found.description, "model", lambda n: items_in(sample(n)), loss)
    tried(subject, items, data)
    return subject, items


def load(model: nn.Module, weights: Path) -> None:
    try:
        model.load_state_dict(state_dict_of(weights))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise HyperGenError(
            "HG702", f"{weights} does not fit the model: {reason}", remedy="Give the state_dict of this very model."
        ) from error


def items_in(drawn: Any) -> Any:
    """What a sampler drew, without the conditions that may come behind it."""
    return drawn[0] if isinstance(drawn, tuple | list) and drawn else drawn


@torch.no_grad()
def tried(subject: Subject, items: Items, data: Path) -> None:
    """Raises HG702 where the loss does not take the items, or samples are not like them."""
    try:
        assert subject.loss is not None
        subject.loss(*(values[:TRIED] for values in items.inputs))
        drawn = subject.sample(TRIED)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        kinds = ", ".join(map(described, items.inputs))
        raise HyperGenError(
            "HG702", f"{subject.name} does not take the items of {data}, {kinds}: {reason}", remedy="Give its own data."
        ) from error
    if not isinstance(drawn, Tensor) or drawn.shape[1:] != items.inputs[0].shape[1:]:
        kind = described(drawn) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise HyperGenError(
            "HG702",
            f"{subject.name} draws {kind}, the items of {data} are {described(items.inputs[0])}",
            remedy="Samples have the shape of the loss's first input.",
        )


def described(values: Tensor) -> str:
    return f"{values.dtype} {['n', *values.shape[1:]]}".removeprefix("torch.").replace("'", "")
