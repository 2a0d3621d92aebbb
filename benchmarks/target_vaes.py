"""Two variational autoencoders (arXiv 1312.6114) of 28 x 28 pictures: of convolutions, and of linear layers."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvVAE", "MlpVAE"]


class ConvVAE(nn.Module):
    """Two convolutions to a latent and two transposed ones back; 0.37 million weights."""

    def __init__(self, channels: int = 32, latent: int = 32):
        super().__init__()
        self.latent = latent
        self.conv1 = nn.Conv2d(1, channels, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.to_mean = nn.Linear(2 * channels * 49, latent)
        self.to_log_variance = nn.Linear(2 * channels * 49, latent)
        self.from_latent = nn.Linear(latent, 2 * channels * 49)
        self.deconv1 = nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1)
        self.deconv2 = nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 1, 28, 28] -> mean and log-variance, each [n, latent]"""
        h = F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1)
        return self.to_mean(h), self.to_log_variance(h)

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> [n, 1, 28, 28]"""
        h = F.relu(self.from_latent(z)).unflatten(1, (-1, 7, 7))
        return self.deconv2(F.relu(self.deconv1(h)))

    def loss(self, x: Tensor) -> Tensor:
        """[n, 1, 28, 28] -> the squared error and the divergence from the prior, per picture."""
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        error = (x - self.decode(z)).square().flatten(1).sum(1)
        return (error + divergence(mean, log_variance)).mean()

    def sample(self, n: int) -> Tensor:
        """-> [n, 1, 28, 28]"""
        return self.decode(torch.randn(n, self.latent, device=self.from_latent.weight.device))


class MlpVAE(nn.Module):
    """Linear layers with batch norms, four on each side; 2.4 million weights."""

    def __init__(self, size: int = 784, hidden: int = 512, latent: int = 32, depth: int = 4):
        super().__init__()
        self.latent = latent
        self.encoder = layers([size, *[hidden] * depth])
        self.to_mean = nn.Linear(hidden, latent)
        self.to_log_variance = nn.Linear(hidden, latent)
        self.decoder = layers([latent, *[hidden] * depth])
        self.to_pixels = nn.Linear(hidden, size)

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> [n, size]"""
        return torch.sigmoid(self.to_pixels(self.decoder(z)))

    def loss(self, x: Tensor) -> Tensor:
        """[n, size] -> the squared error and the divergence from the prior, per item."""
        h = self.encoder(x)
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return ((x - self.decode(z)).square().sum(1) + divergence(mean, log_variance)).mean()

    def sample(self, n: int) -> Tensor:
        """-> [n, size]"""
        return self.decode(torch.randn(n, self.latent, device=self.to_pixels.weight.device))


def layers(sizes: list[int]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        parts += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) | N(0, 1)): two of [n, latent] -> [n]"""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
