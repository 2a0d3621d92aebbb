"""How good, how diverse and how shared out generated items are, in the features of a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["coverage", "diversity", "frechet", "precision_recall", "radii", "shares", "total_variation"]


def frechet(real: Tensor, generated: Tensor) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of two sets of features [n, d] (arXiv 1706.08500)."""
    real, generated = real.double(), generated.double()
    difference = real.mean(0) - generated.mean(0)
    ours, theirs = torch.cov(real.T), torch.cov(generated.T)
    values, vectors = torch.linalg.eigh(ours)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    # (C C')^(1/2) has the trace of (C^(1/2) C' C^(1/2))^(1/2), which is symmetric.
    shared = torch.linalg.eigvalsh(root @ theirs @ root).clamp_min(0).sqrt().sum()
    return (difference.square().sum() + ours.trace() + theirs.trace() - 2 * shared).item()


def radii(features: Tensor, k: int = 3) -> Tensor:
    """The distance of each of n items to its k-th nearest other, [n, d] -> [n]; k is lowered for fewer items."""
    k = min(k, len(features) - 1)
    return torch.cdist(features, features).kthvalue(k + 1, dim=1).values


def coverage(points: Tensor, support: Tensor, reach: Tensor) -> Tensor:
    """Which of n points lie within `reach` [m] of an item of `support` [m, d], [n, d] -> bool [n]"""
    return (torch.cdist(points, support) <= reach).any(1)


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """The part of what is generated that lies among real items, and of real items among generated ones.

    "Among" is within the distance of some item's k-th nearest neighbour (arXiv 1904.06991). Both depend on the number
    of items, so only sets of the same sizes compare.
    """
    precision = coverage(generated, real, radii(real, k))
    recall = coverage(real, generated, radii(generated, k))
    return precision.float().mean().item(), recall.float().mean().item()


def diversity(features: Tensor) -> float:
    """The mean squared distance between two items, n >= 2: twice the trace of the covariance."""
    return 2 * features.double().var(0).sum().item()


def shares(groups: Tensor, count: int) -> Tensor:
    """The part of the items in each of `count` groups, [n] -> [count]"""
    return torch.bincount(groups, minlength=count).double() / len(groups)


def total_variation(found: Tensor, wanted: Tensor) -> float:
    """Half the sum of absolute differences between two vectors of shares: what has to move from group to group."""
    return 0.5 * (found - wanted).abs().sum().item()
