"""A convolutional variational autoencoder for small grey pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvVAE", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(x)))), of the shape of x."""

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
    """A VAE of pictures [n, 1, side, side] with grey levels in [0, 1] (arXiv 1312.6114).

    `side` is a multiple of 4: 8 for scikit-learn's digits, 28 for MNIST.
    """

    def __init__(
        self, side: int = 8, channels: int = 8, depth: int = 2, hidden: int = 64, latent: int = 8, dropout: float = 0.1
    ):
        super().__init__()
        if side % 4:
            raise ValueError(f"side must be a multiple of 4, got {side}")
        self.side = side
        self.latent = latent
        wide = 2 * channels
        self.stem = nn.Conv2d(1, channels, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, dropout) for _ in range(depth))
        self.shrink = nn.Conv2d(channels, wide, 4, stride=2, padding=1)
        self.hidden = nn.Linear(wide * (side // 4) ** 2, hidden)
        self.to_latent = nn.Linear(hidden, 2 * latent)
        self.from_latent = nn.Linear(latent, wide * (side // 4) ** 2)
        self.grow = nn.ConvTranspose2d(wide, channels, 4, stride=2, padding=1)
        self.decoder_blocks = nn.ModuleList(ResidualBlock(channels, dropout) for _ in range(depth))
        self.to_pixels = nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 1, side, side] -> mean and log-variance, each [n, latent]"""
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        h = F.relu(self.shrink(F.relu(h)))
        mean, log_variance = self.to_latent(F.relu(self.hidden(h.flatten(1)))).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> logits [n, 1, side, side]"""
        h = F.relu(self.from_latent(z)).unflatten(1, (-1, self.side // 4, self.side // 4))
        h = self.grow(h)
        for block in self.decoder_blocks:
            h = block(h)
        return self.to_pixels(F.relu(h))

    def loss(self, x: Tensor) -> Tensor:
        """The negative evidence lower bound in nats per picture, the mean over the batch."""
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        reconstruction = F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="none").flatten(1).sum(1)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
        return (reconstruction + divergence).mean()

    def sample(self, n: int) -> Tensor:
        """-> [n, 1, side, side] with grey levels in [0, 1]"""
        z = torch.randn(n, self.latent, device=self.from_latent.weight.device)
        return torch.sigmoid(self.decode(z))
