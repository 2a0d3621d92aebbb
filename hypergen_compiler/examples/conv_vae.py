"""A convolutional variational autoencoder for small grey pictures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvVAE", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(x))))), of the shape of x."""

    def __init__(self, channels: int, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.conv1(F.relu(x))))
        return x + self.dropout(self.conv2(h))


class ConvVAE(nn.Module):
    """A VAE (arXiv 1312.6114) of pictures [n, 1, side, side] with grey levels in [0, 1].

    log p(x | z) = log N(x; decode(z), scale^2), with one scale for all pixels that is learned like any other weight
    (arXiv 2006.13202): what a fixed one would call good enough is still blurred. `side` is even: 8 for scikit-learn's
    digits, 28 for MNIST.
    """

    def __init__(self, side: int = 8, channels: int = 16, depth: int = 2, latent: int = 8, dropout: float = 0.1):
        super().__init__()
        if side % 2:
            raise ValueError(f"side must be even, got {side}")
        self.half = side // 2
        self.latent = latent
        size = channels * self.half**2
        self.stem = nn.Conv2d(1, channels, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, dropout) for _ in range(depth))
        self.to_latent = nn.Linear(size, 2 * latent)
        self.from_latent = nn.Linear(latent, size)
        self.decoder_blocks = nn.ModuleList(ResidualBlock(channels, dropout) for _ in range(depth))
        self.to_pixels = nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1)
        self.log_scale = nn.Parameter(torch.tensor(-1.0))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 1, side, side] -> mean and log-variance, each [n, latent]"""
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        mean, log_variance = self.to_latent(F.relu(h).flatten(1)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> grey levels [n, 1, side, side]"""
        h = self.from_latent(z).unflatten(1, (-1, self.half, self.half))
        for block in self.decoder_blocks:
            h = block(h)
        return torch.sigmoid(self.to_pixels(F.relu(h)))

    def loss(self, x: Tensor) -> Tensor:
        """The negative evidence lower bound in nats per picture, the mean over the batch."""
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        error = (x - self.decode(z)) / torch.exp(self.log_scale)
        reconstruction = (0.5 * error.square() + self.log_scale + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
        return (reconstruction + divergence).mean()

    def sample(self, n: int) -> Tensor:
        """-> grey levels [n, 1, side, side]: E[x | z] for z drawn from the prior, so without the noise of one pixel"""
        z = torch.randn(n, self.latent, device=self.from_latent.weight.device)
        return self.decode(z)
