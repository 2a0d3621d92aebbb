"""Features in which generated and real items are compared: a classifier's of the groups, or principal components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hypergen_compiler.audit.items import Items
from hypergen_compiler.evidence.group_classifier import FEATURES, fitted

__all__ = ["Judge", "judge", "parted"]

HELD_OUT = 3  # every third item of a group judges, the others teach
LARGEST_VOCABULARY = 4096


@dataclass(frozen=True)
class Judge:
    """`features` [n, ...] -> [n, d]; `groups` the place of each item's group, [n], None without labels."""

    features: Callable[[Tensor], Tensor]
    groups: Callable[[Tensor], Tensor] | None
    accuracy: float | None


def parted(items: Items, seed: int) -> tuple[Items, Items]:
    """Items to learn from and items to judge by, with the same shares of the groups, each in a random order."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    by_group = order if items.labels is None else order[torch.argsort(items.labels[order], stable=True)]
    held = torch.zeros(len(items), dtype=torch.bool)
    held[by_group[HELD_OUT - 1 :: HELD_OUT]] = True
    return items.rows(order[~held[order]]), items.rows(order[held[order]])


def judge(learn: Items, held: Items, seed: int) -> Judge:
    x = learn.inputs[0]
    if learn.labels is None:
        return Judge(principal(x), None, None)
    model = fitted(x, learn.labels, len(learn.groups), seed=seed)
    accuracy = (model.groups(held.inputs[0]) == held.labels).double().mean().item()
    return Judge(model.features, model.groups, accuracy)


def principal(x: Tensor) -> Callable[[Tensor], Tensor]:
    """The directions in which real items differ most, on one scale."""
    vocabulary = None if x.is_floating_point() else min(int(x.max()) + 1, LARGEST_VOCABULARY)
    flat = numbers(x, vocabulary)
    center = flat.mean(0)
    directions = torch.linalg.svd(flat - center, full_matrices=False).Vh[:FEATURES].T
    scale = ((flat - center) @ directions).std().clamp_min(1e-6)
    return lambda items: (numbers(items, vocabulary) - center) @ directions / scale


def numbers(x: Tensor, vocabulary: int | None) -> Tensor:
    """[n, ...] -> [n, d]: the numbers themselves, or of tokens how often each occurs"""
    if vocabulary is None:
        return x.float().flatten(1)
    counted = [F.one_hot(row.clamp(0, vocabulary - 1), vocabulary).sum(0) for row in x.reshape(len(x), -1)]
    return torch.stack(counted).float()
