"""Statistical models with one quantity to estimate, each as a module with a loss and a sampler."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Exponential", "Gaussian", "Uniform"]


def positive(value: Tensor) -> Tensor:
    """The value itself where it is above a few hundredths; below, and for a negative one, small and positive."""
    return 0.5 * (value + torch.sqrt(value.square() + 0.0016))


class Gaussian(nn.Module):
    """Numbers with a mean and a variance."""

    quantity = "variance"

    def __init__(self):
        super().__init__()
        self.mean, self.variance = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        variance = positive(self.variance)
        return 0.5 * ((x - self.mean).square() / variance + torch.log(variance)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.randn(n) * torch.sqrt(positive(self.variance)) + self.mean


class Exponential(nn.Module):
    """Waiting times with a rate."""

    quantity = "rate"

    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        rate = positive(self.rate)
        return (x * rate - torch.log(rate)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.empty(n).exponential_() / positive(self.rate)


class Uniform(nn.Module):
    """Numbers between zero and a bound; a number beyond it costs 20 times as much as it is beyond, relative to it."""

    quantity = "bound"

    def __init__(self):
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(1.0))

    def loss(self, x: Tensor) -> Tensor:
        bound = positive(self.bound)
        return (20 * torch.relu(x / bound - 1) + torch.log(bound)).mean()

    def sample(self, n: int) -> Tensor:
        return torch.rand(n) * positive(self.bound)
