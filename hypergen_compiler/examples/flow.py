"""A normalizing flow of affine coupling layers for vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Coupling", "CouplingFlow"]


class Coupling(nn.Module):
    """y = x where the mask is 1, and x * exp(s) + t elsewhere, with s and t read from the masked part."""

    def __init__(self, mask: Tensor, hidden: int):
        super().__init__()
        features = len(mask)
        self.register_buffer("mask", mask)
        self.network = nn.Sequential(
            nn.Linear(features, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * features),
        )

    def scale_and_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.network(kept).chunk(2, dim=1)
        free = 1 - self.mask
        return free * torch.tanh(log_scale), free * shift  # bounded, so that no layer can explode

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.scale_and_shift(self.mask * x)
        return x * torch.exp(log_scale) + shift, log_scale.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        log_scale, shift = self.scale_and_shift(self.mask * y)
        return (y - shift) * torch.exp(-log_scale)


class CouplingFlow(nn.Module):
    """RealNVP (arXiv 1605.08803): log p(x) = log N(f(x); 0, 1) + log |det df/dx|, for x [n, features]."""

    def __init__(self, features: int = 2, layers: int = 6, hidden: int = 32):
        super().__init__()
        if features < 2:
            raise ValueError(f"a coupling needs at least 2 features, got {features}")
        self.features = features
        alternating = torch.arange(features) % 2
        self.couplings = nn.ModuleList(Coupling((alternating == i % 2).float(), hidden) for i in range(layers))

    def log_prob(self, x: Tensor) -> Tensor:
        """[n, features] -> [n]"""
        log_determinant = torch.zeros_like(x[:, 0])
        for coupling in self.couplings:
            x, change = coupling(x)
            log_determinant = log_determinant + change
        normal = -0.5 * (x.square() + math.log(2 * math.pi)).sum(1)
        return normal + log_determinant

    def loss(self, x: Tensor) -> Tensor:
        """The mean negative log-likelihood in nats."""
        return -self.log_prob(x).mean()

    def sample(self, n: int) -> Tensor:
        """-> [n, features]"""
        x = torch.randn(n, self.features, device=self.couplings[0].mask.device)
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x
