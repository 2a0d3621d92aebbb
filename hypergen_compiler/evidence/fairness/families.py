"""The families of models that the experiment `fairness` compares its methods on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from hypergen_compiler.evidence.models.diffusion import ConditionalPicturesDiffusion, PicturesDiffusion
from hypergen_compiler.evidence.models.flow import ConditionalPicturesFlow, PicturesFlow
from hypergen_compiler.evidence.models.vae import ConditionalPicturesVAE, PicturesVAE

__all__ = ["FAMILIES", "Family", "initial"]


@dataclass(frozen=True)
class Family:
    """What makes a model of pictures of a side, and one that is told which of several groups each is of.

    `text` says what the model is, `loss` what its loss measures in test pictures.
    """

    make: Callable[[int], nn.Module]
    make_told: Callable[[int, int], nn.Module]
    text: str
    loss: str


FAMILIES = {
    "vae": Family(
        PicturesVAE,
        ConditionalPicturesVAE,
        "a variational autoencoder with one hidden layer of 64 each way",
        "the negative evidence lower bound in nats",
    ),
    "flow": Family(
        PicturesFlow,
        ConditionalPicturesFlow,
        "a normalizing flow of four affine couplings with one hidden layer of 64 each",
        "the negative log-likelihood in nats, as a density, of pictures with noise of 0.1 added",
    ),
    "diffusion": Family(
        PicturesDiffusion,
        ConditionalPicturesDiffusion,
        "a diffusion model whose network has two hidden layers of 128, sampled by twelve DDIM steps",
        "half the squared error of the velocity at random times",
    ),
}


def initial(family: Family, side: int, seed: int) -> nn.Module:
    """The module that all methods of a seed start from."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return family.make(side)
