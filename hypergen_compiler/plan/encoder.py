"""How the set encoder reads a dataset: one part for every tensor that the loss takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Affine, Entry, Input, Program

__all__ = [
    "FEATURES",
    "LARGEST_SIDE",
    "MOMENTS",
    "POOLED",
    "FeatureEncoder",
    "batch_inputs",
    "by_moments",
    "feature_encoder",
]

FEATURES = 64  # numbers that the set encoder keeps of each item
POOLED = 2 * FEATURES  # numbers that it keeps of a dataset: the features' means and variances
MOMENTS = 5  # numbers that a statistical model's encoder keeps of each number: see the template of the hypernetwork
FEW = 4  # numbers in an item whose moments are an embedding
LARGEST_SIDE = 32  # of an image as the set encoder reads it


@dataclass(frozen=True)
class FeatureEncoder:
    """How one tensor that the loss takes becomes FEATURES numbers per item, by fixed random projections.

    `kind` is "image", "vector" (any other numbers, flattened), "tokens" (pairs of neighbours, averaged over the
    positions) or "label"; "moments" is a vector of few numbers that is not projected.
    `shape` is an item's. `rows` is how many numbers are projected: of the flattened item, of a
    large image those of its reduction to a side of 32, or the number of different tokens or labels.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    rows: int


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


def by_moments(parts: Sequence[FeatureEncoder]) -> tuple[FeatureEncoder, ...]:
    """The parts as read by their moments; none where an item is anything but a few numbers."""
    if not all(part.kind == "vector" for part in parts) or sum(part.rows for part in parts) > FEW:
        return ()
    return tuple(replace(part, kind="moments") for part in parts)
