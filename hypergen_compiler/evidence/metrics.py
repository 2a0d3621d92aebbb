"""How good, how diverse and how shared out generated items are, in the features of a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["covered", "diversity", "frechet", "precision", "radii", "recall", "shares", "total_variation"]

NEIGHBOUR = 3  # the one whose distance is an item's radius


def frechet(real: Tensor, generated: Tensor, weights: Tensor | None = None) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of two sets of features [n, d] (arXiv 1706.08500).

    `weights` [n] tell how much each real item counts.
    """
    real, generated = real.double(), generated.double()
    mean, ours = moments(real, torch.ones(len(real)) if weights is None else weights)
    theirs = torch.cov(generated.T)
    values, vectors = torch.linalg.eigh(ours)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    # (C C')^(1/2) has the trace of (C^(1/2) C' C^(1/2))^(1/2), which is symmetric.
    shared = torch.linalg.eigvalsh(root @ theirs @ root).clamp_min(0).sqrt().sum()
    difference = (mean - generated.mean(0)).square().sum()
    return (difference + ours.trace() + theirs.trace() - 2 * shared).item()


def moments(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean [d] and covariance [d, d], the latter unbiased."""
    part = (weights.double() / weights.double().sum()).unsqueeze(1)
    mean = (part * features).sum(0)
    centered = features - mean
    return mean, (part * centered).T @ centered / (1 - part.square().sum())


def radii(features: Tensor) -> Tensor:
    """The distance of each of n items to its NEIGHBOUR-th nearest other, or the furthest of fewer, [n, d] -> [n]"""
    k = min(NEIGHBOUR, len(features) - 1)
    return torch.cdist(features, features).kthvalue(k + 1, dim=1).values


def covered(points: Tensor, support: Tensor) -> Tensor:
    """Which of n points lie within the radius of an item of `support` [m, d], [n, d] -> bool [n]

    Items that are repeated in `support` count once, or their radius would be zero.
    """
    support = torch.unique(support, dim=0)
    return (torch.cdist(points, support) <= radii(support)).any(1)


def precision(real: Tensor, generated: Tensor) -> float:
    """The part of what is generated that lies among real items (arXiv 1904.06991).

    It depends on how many items there are, as `recall` does: only sets of the same sizes compare.
    """
    return covered(generated, real).double().mean().item()


def recall(real: Tensor, generated: Tensor, weights: Tensor | None = None) -> float:
    """The part of real items, each of which counts as `weights` [n] tell, that lies among generated ones."""
    found = covered(real, generated).double()
    return found.mean().item() if weights is None else ((weights * found).sum() / weights.sum()).item()


def diversity(features: Tensor) -> float:
    """The mean squared distance between two of n >= 2 items: twice the trace of the covariance."""
    return 2 * features.double().var(0).sum().item()


def shares(groups: Tensor, count: int) -> Tensor:
    """The part of the items in each of `count` groups, [n] -> [count]"""
    return torch.bincount(groups, minlength=count).double() / len(groups)


def total_variation(found: Tensor, wanted: Tensor) -> float:
    """Half the sum of absolute differences between two vectors of shares: what has to move from group to group."""
    return 0.5 * (found - wanted).abs().sum().item()
