"""A small variational autoencoder of grey pictures, which the experiments on pictures compile."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionalPicturesVAE", "PicturesVAE"]


class PicturesVAE(nn.Module):
    """One hidden layer each way; a picture's grey levels are the probabilities that its pixels are white."""

    def __init__(self, side: int, hidden: int = 64, latent: int = 8):
        super().__init__()
        self.side, self.latent = side, latent
        self.hidden_of_picture = nn.Linear(side * side, hidden)
        self.code = nn.Linear(hidden, 2 * latent)
        self.hidden_of_code = nn.Linear(latent, hidden)
        self.pixels = nn.Linear(hidden, side * side)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 1, side, side] -> mean and log-variance of the code, [n, latent] each"""
        mean, log_variance = self.code(F.silu(self.hidden_of_picture(x.flatten(1) * 2 - 0.5))).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 8)

    def decode(self, z: Tensor) -> Tensor:
        """[n, latent] -> logits of the pixels, [n, side * side]"""
        return self.pixels(F.silu(self.hidden_of_code(z)))

    def loss(self, x: Tensor) -> Tensor:
        """The negative evidence lower bound of each picture, in nats: [n, 1, side, side] -> [n]"""
        mean, log_variance = self.encode(x)
        logits = self.decode(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance))
        misfit = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        return misfit + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)

    def sample(self, n: int) -> Tensor:
        """Pictures as the decoder's probabilities, [n, 1, side, side]"""
        return torch.sigmoid(self.decode(torch.randn(n, self.latent))).view(n, 1, self.side, self.side)


class ConditionalPicturesVAE(nn.Module):
    """The same that is told the group of every picture, a number of `groups`, both ways."""

    def __init__(self, side: int, groups: int, hidden: int = 64, latent: int = 8):
        super().__init__()
        self.side, self.latent, self.groups = side, latent, groups
        self.hidden_of_picture = nn.Linear(side * side + groups, hidden)
        self.code = nn.Linear(hidden, 2 * latent)
        self.hidden_of_code = nn.Linear(latent + groups, hidden)
        self.pixels = nn.Linear(hidden, side * side)

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        told = F.one_hot(label, self.groups).float()
        return self.pixels(F.silu(self.hidden_of_code(torch.cat([z, told], dim=1))))

    def loss(self, x: Tensor, label: Tensor) -> Tensor:
        """The negative evidence lower bound of each picture given its group, in nats: -> [n]"""
        told = F.one_hot(label, self.groups).float()
        read = torch.cat([x.flatten(1) * 2 - 0.5, told], dim=1)
        mean, log_variance = self.code(F.silu(self.hidden_of_picture(read))).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 8)
        logits = self.decode(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance), label)
        misfit = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        return misfit + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)

    def sample_of(self, label: Tensor) -> Tensor:
        """One picture of each group that is asked for, [n] -> [n, 1, side, side]"""
        z = torch.randn(label.shape[0], self.latent, device=label.device)
        return torch.sigmoid(self.decode(z, label)).view(label.shape[0], 1, self.side, self.side)
