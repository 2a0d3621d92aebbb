"""A diffusion model of grey pictures, which a dozen deterministic steps draw (DDIM, arXiv 2010.02502)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionalPicturesDiffusion", "PicturesDiffusion"]

FREQUENCIES = 8  # that a time is read by


class PicturesDiffusion(nn.Module):
    """At time t a picture x is cos(t) x + sin(t) noise, t in [0, pi/2]; the network tells the way it changes, the
    velocity of arXiv 2202.00512."""

    def __init__(self, side: int, told: int = 0, hidden: int = 128, steps: int = 12):
        super().__init__()
        self.side, self.told, self.steps = side, told, steps
        self.reads = nn.Linear(side * side, hidden)
        self.beside = nn.Linear(2 * FREQUENCIES + told, hidden)
        self.inner = nn.Linear(hidden, hidden)
        self.writes = nn.Linear(hidden, side * side)

    def velocity(self, x: Tensor, time: Tensor, told: Tensor) -> Tensor:
        """[n, side * side], [n, 1], [n, told] -> [n, side * side]"""
        angles = time * torch.arange(1, FREQUENCIES + 1, device=x.device)
        beside = self.beside(torch.cat([torch.sin(angles), torch.cos(angles), told], dim=1))
        hidden = F.silu(self.reads(x) + beside)
        return self.writes(hidden + F.silu(self.inner(hidden) + beside))

    def misfit(self, x: Tensor, told: Tensor) -> Tensor:
        """Half the squared error of the velocity at a random time, [n, 1, side, side], [n, told] -> [n]"""
        clean = 2 * x.flatten(1) - 1
        time, noise = 0.5 * math.pi * torch.rand_like(clean[:, :1]), torch.randn_like(clean)
        noisy = torch.cos(time) * clean + torch.sin(time) * noise
        wanted = torch.cos(time) * noise - torch.sin(time) * clean
        return 0.5 * (self.velocity(noisy, time, told) - wanted).square().sum(1)

    def drawn(self, told: Tensor) -> Tensor:
        """One picture for each row of `told`, [n, told] -> [n, 1, side, side]"""
        x = torch.randn(told.shape[0], self.side * self.side, device=told.device)
        for step in range(self.steps):
            now = 0.5 * math.pi * (1 - step / self.steps)
            later = 0.5 * math.pi * (1 - (step + 1) / self.steps)
            velocity = self.velocity(x, torch.full_like(x[:, :1], now), told)
            clean, noise = math.cos(now) * x - math.sin(now) * velocity, math.sin(now) * x + math.cos(now) * velocity
            x = math.cos(later) * clean + math.sin(later) * noise
        return (0.5 * (x + 1)).view(told.shape[0], 1, self.side, self.side)

    def loss(self, x: Tensor) -> Tensor:
        """The denoising error of each picture: [n, 1, side, side] -> [n]"""
        return self.misfit(x, x.new_zeros(x.shape[0], 0))

    def sample(self, n: int) -> Tensor:
        """[n, 1, side, side]"""
        return self.drawn(torch.zeros(n, 0, device=self.reads.weight.device))


class ConditionalPicturesDiffusion(PicturesDiffusion):
    """The same, which is told the group of every picture, one of `told` numbers."""

    def loss(self, x: Tensor, label: Tensor) -> Tensor:
        """The denoising error of each picture given its group: [n]"""
        return self.misfit(x, F.one_hot(label, self.told).float())

    def sample_of(self, label: Tensor) -> Tensor:
        """One picture of each group that is asked for, [n] -> [n, 1, side, side]"""
        return self.drawn(F.one_hot(label, self.told).float())
