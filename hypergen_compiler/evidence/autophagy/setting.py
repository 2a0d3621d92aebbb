"""How much the experiment `autophagy` runs, and which pictures are for what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FULL", "ITEMS", "QUICK", "Scale", "Split", "split"]

ITEMS = 512  # in a generation's data


@dataclass(frozen=True)
class Scale:
    """How much is run: generations of a chain, steps of training, and lengths of plain training to choose from."""

    generations: int
    hypernetwork_steps: int
    plain_steps: tuple[int, ...]
    seeds: tuple[int, ...]


FULL = Scale(20, 4000, (400, 1000, 2000), (0, 1, 2, 3, 4))
QUICK = Scale(5, 800, (400,), (0, 1))


@dataclass(frozen=True)
class Split:
    """Real pictures [n, 1, side, side] and their groups [n]: to learn from, to choose by, and to judge by."""

    learn: tuple[Tensor, Tensor]
    choose: tuple[Tensor, Tensor]
    judge: tuple[Tensor, Tensor]
    groups: int


def split(pictures: Tensor, labels: Tensor, seed: int) -> Split:
    """A third is for judging and a tenth for choosing, others for every seed."""
    labels = torch.unique(labels, return_inverse=True)[1]
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    judge, choose = len(order) // 3, len(order) // 10
    parts = order.split([judge, choose, len(order) - judge - choose])
    judged, chosen, learned = ((pictures[part], labels[part]) for part in parts)
    return Split(learned, chosen, judged, int(labels.max()) + 1)
