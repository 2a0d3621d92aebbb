"""A small variational autoencoder whose samples carry the noise of their pixels, so that they are draws from p(x)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionalNoisyVAE", "NoisyVAE"]


class NoisyVAE(nn.Module):
    """log p(x | z) = log N(x; decode(z), scale^2) with one scale, which is learned; one hidden layer each way.

    A model that learns from decoded means alone loses the data's spread in a generation or two, whatever it is.
    """

    def __init__(self, side: int, hidden: int = 64, latent: int = 8):
        super().__init__()
        self.side, self.latent = side, latent
        self.reads, self.to_code = nn.Linear(side * side, hidden), nn.Linear(hidden, 2 * latent)
        self.from_code, self.writes = nn.Linear(latent, hidden), nn.Linear(hidden, side * side)
        self.log_scale = nn.Parameter(torch.tensor(-1.0))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 1, side, side] -> mean and log-variance of the code, [n, latent] each"""
        mean, log_variance = self.to_code(F.silu(self.reads(x.flatten(1)))).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 8)

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> [n, side * side]"""
        return torch.sigmoid(self.writes(F.silu(self.from_code(z))))

    def loss(self, x: Tensor) -> Tensor:
        """The negative evidence lower bound in nats per picture, [n, 1, side, side] -> []"""
        mean, log_variance = self.encode(x)
        decoded = self.decode(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance))
        return bound(x.flatten(1), decoded, self.log_scale.clamp(-4, 1), mean, log_variance)

    def sample(self, n: int) -> Tensor:
        decoded = self.decode(torch.randn(n, self.latent))
        noise = torch.randn_like(decoded) * torch.exp(self.log_scale.clamp(-4, 1))
        return (decoded + noise).view(n, 1, self.side, self.side)


class ConditionalNoisyVAE(NoisyVAE):
    """The same, which is told the group of every picture, a number below `groups`, both ways."""

    def __init__(self, side: int, groups: int, hidden: int = 64, latent: int = 8):
        super().__init__(side, hidden, latent)
        self.groups = groups
        self.read_group, self.write_group = nn.Linear(groups, hidden), nn.Linear(groups, hidden)

    def decode_of(self, z: Tensor, label: Tensor) -> Tensor:
        told = self.write_group(F.one_hot(label, self.groups).float())
        return torch.sigmoid(self.writes(F.silu(self.from_code(z) + told)))

    def loss(self, x: Tensor, label: Tensor) -> Tensor:
        """The negative evidence lower bound in nats per picture given its group, [n, 1, side, side], [n] -> []"""
        told = self.read_group(F.one_hot(label, self.groups).float())
        mean, log_variance = self.to_code(F.silu(self.reads(x.flatten(1)) + told)).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 8)
        decoded = self.decode_of(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance), label)
        return bound(x.flatten(1), decoded, self.log_scale.clamp(-4, 1), mean, log_variance)

    def sample_of(self, label: Tensor) -> Tensor:
        """A picture of each group that is asked for, [n] -> [n, 1, side, side]"""
        decoded = self.decode_of(torch.randn(label.shape[0], self.latent), label)
        noise = torch.randn_like(decoded) * torch.exp(self.log_scale.clamp(-4, 1))
        return (decoded + noise).view(label.shape[0], 1, self.side, self.side)


def bound(x: Tensor, decoded: Tensor, log_scale: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log N(x; decoded, scale^2) + KL(N(mean, variance), N(0, 1)), the mean over the pictures"""
    error = (x - decoded) / torch.exp(log_scale)
    misfit = (0.5 * error.square() + log_scale + 0.5 * math.log(2 * math.pi)).sum(1)
    return (misfit + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)).mean()
