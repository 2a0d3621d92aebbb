"""The variational autoencoder of pythae with its convolutions for MNIST, a sixteenth as wide."""

from __future__ import annotations

from itertools import pairwise

from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

__all__ = ["pythae_vae"]


class Encoder(BaseEncoder):
    """[n, 1, 28, 28] -> mean and log-variance, by four convolutions that halve the side."""

    def __init__(self, width: int, latent: int):
        super().__init__()
        sides = [1, width, 2 * width, 4 * width, 8 * width]
        parts = [(nn.Conv2d(a, b, 4, 2, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(sides)]
        self.layers = nn.Sequential(*(layer for part in parts for layer in part))
        self.embedding, self.log_var = nn.Linear(8 * width, latent), nn.Linear(8 * width, latent)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.layers(x).flatten(1)
        return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    """[n, latent] -> [n, 1, 28, 28], from sides of 4 by three transposed convolutions."""

    def __init__(self, width: int, latent: int):
        super().__init__()
        self.start = nn.Linear(latent, 8 * width * 16)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(8 * width, 4 * width, 3, 2, padding=1),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, padding=1, output_padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, 1, 3, 2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(self.start(z).unflatten(1, (-1, 4, 4))))


def pythae_vae(width: int = 8, latent: int = 8) -> VAE:
    """pythae's own is 128 wide, and a step of it on a CPU takes seconds."""
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=latent, reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(width, latent), decoder=Decoder(width, latent))
