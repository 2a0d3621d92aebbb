"""The models of pythae, whose forward pass returns their loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Recipe, device_of

__all__ = ["Pythae"]


@dataclass(frozen=True)
class Pythae(Recipe):
    """The loss of the model's own forward pass; samples are decoded from z ~ N(0, 1), the prior of its VAEs."""

    name: ClassVar[str] = "pythae"

    def loss(self, network: nn.Module, x: Tensor) -> Tensor:
        """x [n, ...] -> the mean loss"""
        return network({"data": x}).loss

    def sample(self, network: nn.Module, n: int) -> Tensor:
        """-> [n, ...]"""
        z = torch.randn(n, network.latent_dim, device=device_of(network))
        return prediction(network.decoder(z))

    def can_sample(self, network: nn.Module, inputs: int) -> bool:
        """Whether the prior is N(0, 1): the model is a VAE with no codebook and no prior of its own."""
        return is_plain_vae(network)


def is_plain_vae(network: nn.Module) -> bool:
    names = {kind.__name__ for kind in type(network).__mro__}
    return "VAE" in names and not names & {"VQVAE", "VAMP", "SVAE", "PoincareVAE", "VAE_LinNF", "VAE_IAF"}
