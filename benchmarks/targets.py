"""The models whose training is timed: each with a loss, a sampler and random data of its shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.target_gpt import GPT, LENGTH, VOCABULARY
from benchmarks.target_unet import UNet
from benchmarks.target_vaes import ConvVAE, MlpVAE

__all__ = ["TARGETS", "Linears", "Target"]


@dataclass(frozen=True)
class Target:
    """A model to compile: `data(n)` is a dataset of n items, `forwards` the passes of the model in one sample.

    `items` are those of a step, in one dataset or spread over eight. Where `large`, a step is quick enough to time one
    with as many in each of eight, too.
    """

    name: str
    title: str
    make: Callable[[], nn.Module]
    data: Callable[[int], Tensor]
    items: int
    forwards: int
    large: bool = False


def pictures(n: int) -> Tensor:
    return torch.rand(n, 1, 28, 28)


def noisy_pictures(n: int) -> Tensor:
    return torch.randn(n, 1, 28, 28)


def vectors(n: int) -> Tensor:
    return torch.rand(n, 784)


def tokens(n: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (n, LENGTH))


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("conv_vae", "conv VAE", ConvVAE, pictures, items=64, forwards=1, large=True),
        Target("mlp_vae", "MLP VAE", MlpVAE, vectors, items=64, forwards=1),
        Target("unet", "U-Net", UNet, noisy_pictures, items=16, forwards=4),
        Target("gpt", "GPT", GPT, tokens, items=16, forwards=LENGTH),
    )
}


class Linears(nn.Module):
    """`count` square layers and nothing else: a model of about a wanted number of weights, to time emission alone."""

    def __init__(self, count: int, width: int = 1000):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(count))

    def loss(self, x: Tensor) -> Tensor:
        """The mean square of the last layer's output for x [n, width]."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x.square().mean()
