"""Small networks of the kinds that recipes are for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Causal", "Denoiser", "Flow", "LabelledDenoiser", "MixtureParameters", "SmallVAE", "normal"]


class Denoiser(nn.Module):
    """(x_t [n, 2], t [n]) -> [n, 2]"""

    def __init__(self, width: int = 32):
        super().__init__()
        self.time = nn.Linear(2, width)
        self.data = nn.Linear(2, width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = t[:, None] / 100
        h = F.silu(self.data(x) + self.time(torch.cat([t.sin(), t.cos()], dim=1)))
        return self.out(F.silu(self.hidden(h)))


class LabelledDenoiser(Denoiser):
    """(x_t [n, 2], t [n], labels [n]) -> [n, 2]"""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.label = nn.Embedding(classes, 2)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return super().forward(x, t) + self.label(labels)


class Causal(nn.Module):
    """Tokens [n, length] -> logits [n, length, vocabulary], by convolutions that see the past alone."""

    def __init__(self, vocabulary: int = 5, width: int = 12):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.mix = nn.Conv1d(width, width, 3)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embedding(tokens).transpose(1, 2)
        return self.out(F.relu(self.mix(F.pad(h, (2, 0)))).transpose(1, 2))


class SmallVAE(nn.Module):
    """x [n, 6] -> reconstruction [n, 6], mean and log-variance [n, 2]"""

    def __init__(self, probabilities: bool = False):
        super().__init__()
        self.probabilities = probabilities
        self.encoder = nn.Linear(6, 4)
        self.decoder = nn.Linear(2, 6)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid() if self.probabilities else self.decoder(z)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z), mean, log_variance


class Flow(nn.Module):
    """One affine layer over a standard normal, with `log_prob` and `sample`."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))
        self.log_scale = nn.Parameter(torch.zeros(2))

    def log_prob(self, x: Tensor) -> Tensor:
        z = (x - self.shift) * (-self.log_scale).exp()
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) - self.log_scale.sum()

    def sample(self, count: int) -> Tensor:
        return self.shift + self.log_scale.exp() * torch.randn(count, 2)


class MixtureParameters(nn.Module):
    """-> logits [3], means and log-scales [3, 2]"""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.5, -0.5, 0.0]))
        self.means = nn.Parameter(torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))
        self.log_scales = nn.Parameter(torch.full((3, 2), -0.5))

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.logits, self.means, self.log_scales


def normal(n: int) -> tuple[Tensor]:
    return (torch.randn(n, 2, generator=torch.Generator().manual_seed(n)),)
