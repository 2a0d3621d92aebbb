"""What is measured of trained weights: shares, losses and coverage by group, and the knob."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hypergen_compiler.evidence.groups import Part

__all__ = ["Measured", "Shares", "coverage", "deviation", "mean_error", "radii", "share_slope", "shares", "slope"]

SURE = 0.9  # probability of its group from which the classifier is called confident
NEIGHBOUR = 5  # real pictures are as far apart as from their fifth neighbour


class Shares(NamedTuple):
    """Of each group among all drawn pictures, and among those that the classifier is sure of; and the unsure part."""

    all: Tensor
    confident: Tensor
    unsure: float


class Measured(NamedTuple):
    """A mean over seeds and its standard error."""

    mean: float
    error: float


def deviation(values: Sequence[float]) -> Measured:
    """The mean of one value a seed, and its standard error; of a single one the error is not known: nan."""
    tensor = torch.tensor(list(values), dtype=torch.float64)
    error = tensor.std().item() / math.sqrt(len(tensor)) if len(tensor) > 1 else math.nan
    return Measured(tensor.mean().item(), error)


@torch.no_grad()
def shares(judge: nn.Module, drawn: Tensor, groups: int) -> Shares:
    """What a classifier of real pictures reads in drawn ones, [n, 1, side, side]."""
    sureness, read = judge(drawn).softmax(1).max(1)
    sure = sureness > SURE
    kept = torch.bincount(read[sure], minlength=groups) / sure.sum().clamp_min(1)
    return Shares(torch.bincount(read, minlength=groups) / len(read), kept, 1 - sure.float().mean().item())


def radii(part: Part, groups: int) -> list[tuple[Tensor, Tensor]]:
    """For each group its pictures, flat, and how far each is from its NEIGHBOUR-th neighbour of the group."""
    found = []
    for group in range(groups):
        flat = part.images[part.labels == group].flatten(1)
        near = min(NEIGHBOUR + 1, len(flat))
        found.append((flat, torch.cdist(flat, flat).kthvalue(near, dim=1).values))
    return found


def coverage(real: Sequence[tuple[Tensor, Tensor]], drawn: Tensor) -> list[float]:
    """The part of each group's real pictures that have a drawn one nearer than their NEIGHBOUR-th real neighbour."""
    flat = drawn.flatten(1)
    return [(torch.cdist(x, flat).amin(1) < radius).float().mean().item() for x, radius in real]


def slope(requested: Sequence[float], generated: Sequence[float]) -> float:
    """Of the line of least squares through generated against requested shares."""
    x, y = (torch.tensor(list(values), dtype=torch.float64) for values in (requested, generated))
    x, y = x - x.mean(), y - y.mean()
    return ((x * y).sum() / x.square().sum()).item()


def mean_error(requested: Sequence[float], generated: Sequence[float]) -> float:
    """The mean distance of a generated from a requested share."""
    return sum(abs(x - y) for x, y in zip(requested, generated, strict=True)) / len(requested)


def share_slope(requested: Tensor, generated: Tensor) -> float:
    """How far generated shares [mixtures, groups] follow the requested ones: 0 for not at all, 1 for wholly.

    The slope through the point where all groups are alike.
    """
    alike = 1 / requested.shape[-1]
    x, y = requested - alike, generated - alike
    return ((x * y).sum() / x.square().sum()).item()
