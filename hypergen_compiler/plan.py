"""The plan: which hypernetwork emits the weights, how large it is, and how it reads a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.program import Affine, Entry, Input, Program

__all__ = ["BYTES", "FEATURES", "FeatureEncoder", "Plan", "batch_inputs", "plan"]

BYTES = 16  # of memory per parameter in training: the value, its gradient and the two moments of Adam, 4 bytes each
FEATURES = 64  # numbers that the set encoder keeps of each item
LARGEST_SIDE = 32  # of an image as the set encoder reads it
LARGEST_RANK = 32
USUAL_RANK = 16
USUAL_MEMORY = 4 * 2**30  # bytes that a hypernetwork takes where no budget is given; beyond them the rank falls
UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


@dataclass(frozen=True)
class FeatureEncoder:
    """How one tensor that the loss takes becomes FEATURES numbers per item, by fixed random projections.

    `kind` is "image", "vector" (any other numbers, flattened), "tokens" (pairs of neighbours, averaged over the
    positions) or "label". `shape` is an item's. `rows` is how many numbers are projected: of the flattened item, of a
    large image those of its reduction to a side of 32, or the number of different tokens or labels.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Candidate:
    """A hypernetwork that could be emitted: its head, and the bytes that training it takes without its encoder."""

    head: str
    rank: int
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What was chosen: `parameters` of the hypernetwork, all told, and the `bytes` that training them takes.

    `encoder` has one part per tensor that the loss takes, or the first entry point where there is no loss.
    `budget` is what the user asked for, None when nothing.
    """

    head: str
    rank: int
    encoder: tuple[FeatureEncoder, ...]
    parameters: int
    bytes: int
    budget: str | int | None = None

    def describe(self) -> list[tuple[str, str]]:
        """Rows of (what, value) for a person to read."""
        reads = [f"{part.name}: {part.kind} {' x '.join(map(str, part.shape)) or 'per item'}" for part in self.encoder]
        return [
            ("head", f"{self.head} with a learned base, rank {self.rank}"),
            ("reads", "; ".join(reads) or "nothing: no tensor goes in"),
            ("parameters", f"{self.parameters:,}"),
            ("memory in training", f"{self.bytes / 1e6:,.1f} MB for values, gradients and moments"),
            ("budget", "none given" if self.budget is None else str(self.budget)),
        ]


def plan(program: Program, layout: ParameterLayout, budget: str | int | None = None) -> Plan:
    """Chooses the hypernetwork for a model.

    `budget` bounds the memory that head and base take in training, 16 bytes per parameter: in bytes (an integer, or
    text such as "64MB" or "1GiB"), or as "2x", a multiple of the 16 bytes per emitted weight that training the plain
    model takes. The rank is then `budget / (16 * weights) - 1`, at most 32. The few thousand of the set encoder come
    on top. Without a budget the rank is 16, less where that would take more than 4 GiB.

    Raises HG105 for a budget that is not a size, HG303 for one that is too small for rank 1, and HG104 for a tensor
    that the loss takes without one row per item.
    """
    unit = BYTES * layout.trained
    options = candidates(unit)
    if budget is None:
        chosen = choose((option for option in options if option.rank <= USUAL_RANK), max(USUAL_MEMORY, 2 * unit))
    else:
        chosen = choose(options, in_bytes(budget, unit))
    parts = tuple(feature_encoder(value) for value in batch_inputs(program))
    parameters = chosen.bytes // BYTES + 2 * FEATURES * chosen.rank
    return Plan(chosen.head, chosen.rank, parts, parameters, BYTES * parameters, budget)


def candidates(unit: int) -> Iterator[Candidate]:
    """Every hypernetwork that could be emitted, the most capable first; `unit` is the plain model's bytes."""
    for rank in range(LARGEST_RANK, 0, -1):
        yield Candidate("low-rank", rank, (rank + 1) * unit)


def choose(options: Iterable[Candidate], limit: int) -> Candidate:
    """The most capable one within `limit` bytes."""
    smallest = None
    for smallest in options:
        if smallest.bytes <= limit:
            return smallest
    raise HyperGenError(
        "HG303",
        f"{limit:,} bytes are too few for any hypernetwork of this model",
        remedy=f"Give `--budget 2x`, which is {smallest.bytes:,} bytes, or more.",
    )


def in_bytes(budget: str | int, unit: int) -> int:
    """A budget in bytes; "2x" is twice `unit`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(budget).lower())
    if found is None or isinstance(budget, bool) or found[2] not in {*UNITS, "x"}:
        raise HyperGenError(
            "HG105",
            f"the budget {budget!r} is not a size",
            remedy="Give bytes such as 64MB, 1GiB or 250000, or a multiple of the plain model's such as 2x.",
        )
    return int(float(found[1]) * (unit if found[2] == "x" else UNITS[found[2]]))


def batch_inputs(program: Program) -> tuple[Input, ...]:
    """The tensors that a dataset consists of, each with one row per item: what the loss takes.

    Where there is no loss, those of the first entry point's tensors that have one row per item.
    """
    entry = program.entries[0] if program.loss is None else program.entry(program.loss)
    tensors = [value for value in entry.inputs if value.is_tensor]
    by_item = tuple(value for value in tensors if has_rows(value))
    if program.loss is not None and (len(by_item) < len(tensors) or not tensors):
        refuse(entry, [value.name for value in tensors if not has_rows(value)])
    return by_item


def has_rows(value: Input) -> bool:
    return value.shape[:1] == (Affine(1),) and all(isinstance(size, int) for size in value.shape[1:])


def refuse(entry: Entry, names: list[str]) -> None:
    what = f"the input {names[0]!r} of {entry.name} has no row per item" if names else f"{entry.name} takes no tensor"
    raise HyperGenError(
        "HG104",
        f"{what}, so it cannot be part of a dataset that a hypernetwork reads",
        where=entry.origin,
        remedy="Let the loss take tensors whose first dimension is the batch and whose others are fixed, "
        "and keep fixed tensors in the model as buffers.",
    )


def feature_encoder(value: Input) -> FeatureEncoder:
    """The encoder that suits an input's shape and type."""
    shape = tuple(value.shape[1:])
    if len(shape) == 3:
        channels, height, width = shape
        return FeatureEncoder(
            value.name, "image", shape, channels * min(height, LARGEST_SIDE) * min(width, LARGEST_SIDE)
        )
    if value.dtype.is_floating_point or value.dtype == torch.bool:
        return FeatureEncoder(value.name, "vector", shape, torch.Size(shape).numel())
    rows = value.vocabulary or int(value.high) + 1
    return FeatureEncoder(value.name, "tokens" if shape else "label", shape, rows)
