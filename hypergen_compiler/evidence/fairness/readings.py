"""What is read in drawn pictures: the share of each group, and how much of the real pictures they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hypergen_compiler.evidence.groups import Part

__all__ = ["Shares", "coverage", "radii", "read_shares"]

SURE = 0.9  # probability of its group from which the classifier is called confident
NEIGHBOUR = 5  # real pictures are as far apart as from their fifth neighbour


class Shares(NamedTuple):
    """Of each group among all drawn pictures, and among those that the classifier is sure of; and the unsure part."""

    all: Tensor
    confident: Tensor
    unsure: float


@torch.no_grad()
def read_shares(judge: nn.Module, drawn: Tensor, groups: int) -> Shares:
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
