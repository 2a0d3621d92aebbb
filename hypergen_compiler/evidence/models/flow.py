"""A normalizing flow of grey pictures: affine couplings over a checkerboard (RealNVP, arXiv 1605.08803)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionalPicturesFlow", "PicturesFlow"]

NOISE = 0.1  # of the pixels: a density of pictures that are exact would be infinite where a pixel is always black


class Coupling(nn.Module):
    """y = x where the mask is 1, and x * exp(s) + t elsewhere, with s and t read from the masked part.

    `told` is what the network reads beside it, [n, told], of the size 0 where there is nothing to tell.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, told: int, hidden: int):
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)  # a matter of the architecture, as the sizes are
        self.reads = nn.Linear(len(mask) + told, hidden)
        self.writes = nn.Linear(hidden, 2 * len(mask))

    def scale_and_shift(self, kept: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.writes(F.silu(self.reads(torch.cat([kept, told], dim=1)))).chunk(2, dim=1)
        free = 1 - self.mask
        return free * torch.tanh(log_scale), free * shift  # bounded, so that no layer can explode

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.scale_and_shift(self.mask * x, told)
        return x * torch.exp(log_scale) + shift, log_scale.sum(1)

    def inverse(self, y: Tensor, told: Tensor) -> Tensor:
        log_scale, shift = self.scale_and_shift(self.mask * y, told)
        return (y - shift) * torch.exp(-log_scale)


class PicturesFlow(nn.Module):
    """The density of pictures with a little noise; the last layer scales and shifts every pixel."""

    def __init__(self, side: int, told: int = 0, layers: int = 4, hidden: int = 64):
        super().__init__()
        self.side, self.told = side, told
        places = torch.arange(side)
        board = ((places.unsqueeze(0) + places.unsqueeze(1)) % 2).flatten()
        self.couplings = nn.ModuleList(Coupling((board == i % 2).float(), told, hidden) for i in range(layers))
        self.center = nn.Parameter(torch.full((side * side,), 0.5))
        self.log_spread = nn.Parameter(torch.full((side * side,), -1.0))

    def misfit(self, x: Tensor, told: Tensor) -> Tensor:
        """-log p of every picture in nats: [n, 1, side, side], [n, told] -> [n]"""
        noisy = x.flatten(1) + NOISE * torch.randn_like(x.flatten(1))
        z, log_determinant = (noisy - self.center) * torch.exp(-self.log_spread), -self.log_spread.sum()
        for coupling in self.couplings:
            z, change = coupling(z, told)
            log_determinant = log_determinant + change
        return 0.5 * (z.square() + math.log(2 * math.pi)).sum(1) - log_determinant

    def drawn(self, told: Tensor) -> Tensor:
        """One picture for each row of `told`, [n, told] -> [n, 1, side, side]"""
        z = torch.randn(told.shape[0], self.side * self.side, device=told.device)
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z, told)
        return (z * torch.exp(self.log_spread) + self.center).view(told.shape[0], 1, self.side, self.side)

    def loss(self, x: Tensor) -> Tensor:
        """The negative log-likelihood of each picture in nats: [n, 1, side, side] -> [n]"""
        return self.misfit(x, x.new_zeros(x.shape[0], 0))

    def sample(self, n: int) -> Tensor:
        """[n, 1, side, side]"""
        return self.drawn(torch.zeros(n, 0, device=self.center.device))


class ConditionalPicturesFlow(PicturesFlow):
    """The same, whose couplings are told the group of every picture, one of `told` numbers."""

    def loss(self, x: Tensor, label: Tensor) -> Tensor:
        """The negative log-likelihood of each picture given its group, in nats: [n]"""
        return self.misfit(x, F.one_hot(label, self.told).float())

    def sample_of(self, label: Tensor) -> Tensor:
        """One picture of each group that is asked for, [n] -> [n, 1, side, side]"""
        return self.drawn(F.one_hot(label, self.told).float())
