"""Means over seeds with their standard errors, and how far generated shares follow requested ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Measured", "deviation", "mean_error", "share_slope", "slope"]


class Measured(NamedTuple):
    """A mean over seeds and its standard error."""

    mean: float
    error: float


def deviation(values: Sequence[float]) -> Measured:
    """The mean of one value a seed, and its standard error; of a single one the error is not known: nan."""
    tensor = torch.tensor(list(values), dtype=torch.float64)
    error = tensor.std().item() / math.sqrt(len(tensor)) if len(tensor) > 1 else math.nan
    return Measured(tensor.mean().item(), error)


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
