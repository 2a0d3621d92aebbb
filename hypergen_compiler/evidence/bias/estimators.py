"""Statistical models with a quantity to estimate: modules with a loss and a sampler, and data of known truth."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["MODELS", "Exponential", "Gaussian", "Uniform"]


def positive(value: Tensor) -> Tensor:
    """The value itself where it is above a few hundredths; below, and for a negative one, small and positive."""
    return 0.5 * (value + torch.sqrt(value.square() + 0.0016))


def log_uniform(m: int, largest: float) -> Tensor:
    """[m] scales between 1 / largest and largest, as many below 1 as above"""
    return torch.exp((2 * torch.rand(m) - 1) * math.log(largest))


class Gaussian(nn.Module):
    """Numbers with a mean, between -1 and 1, and a variance, between 1/4 and 4 where it is measured."""

    quantity, largest = "variance", 4.0

    def __init__(self):
        super().__init__()
        self.mean, self.variance = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        variance = positive(self.variance)
        return 0.5 * ((x - self.mean).square() / variance + torch.log(variance)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.randn(n) * torch.sqrt(positive(self.variance)) + self.mean

    @staticmethod
    def datasets(m: int, n: int, largest: float) -> tuple[Tensor, Tensor]:
        """The true variances [m], 1 / `largest` to `largest`, and n numbers for each, [m, n]"""
        variance = log_uniform(m, largest)
        return variance, 2 * torch.rand(m, 1) - 1 + variance.sqrt().unsqueeze(1) * torch.randn(m, n)


class Exponential(nn.Module):
    """Waiting times with a rate, between 1/2 and 2 where it is measured."""

    quantity, largest = "rate", 2.0

    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        rate = positive(self.rate)
        return (x * rate - torch.log(rate)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.empty(n).exponential_() / positive(self.rate)

    @staticmethod
    def datasets(m: int, n: int, largest: float) -> tuple[Tensor, Tensor]:
        """The true rates [m], 1 / `largest` to `largest`, and n times for each, [m, n]"""
        rate = log_uniform(m, largest)
        return rate, torch.empty(m, n).exponential_() / rate.unsqueeze(1)


class Uniform(nn.Module):
    """Numbers between zero and a bound, between 1/2 and 2 where it is measured.

    A density is zero beyond the bound, which gives no gradient: here a number costs 20 times as much as it lies beyond
    it, relative to it. With 5 numbers the most likely bound is still the largest of them.
    """

    quantity, largest = "bound", 2.0

    def __init__(self):
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        bound = positive(self.bound)
        return (20 * torch.relu(x / bound - 1) + torch.log(bound)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.rand(n) * positive(self.bound)

    @staticmethod
    def datasets(m: int, n: int, largest: float) -> tuple[Tensor, Tensor]:
        """The true bounds [m], 1 / `largest` to `largest`, and n numbers for each, [m, n]"""
        bound = log_uniform(m, largest)
        return bound, torch.rand(m, n) * bound.unsqueeze(1)


MODELS = {"gaussian-variance": Gaussian, "exponential-rate": Exponential, "uniform-bound": Uniform}
