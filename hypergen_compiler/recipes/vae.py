"""Variational autoencoders around a network that returns reconstruction, mean and log-variance.

Kingma and Welling (arXiv 1312.6114).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture.prepare import fresh_copy, seeded
from hypergen_compiler.recipes.outputs import prediction, tensors_of
from hypergen_compiler.recipes.recipe import Conditional, Example, given, refuse_unless

__all__ = ["Vae", "divergence", "gaussian_misfit"]

LIKELIHOODS = ("auto", "bernoulli", "bernoulli-logits", "gaussian")
DECODERS = ("decode", "decoder")


@dataclass(frozen=True)
class Vae(Conditional):
    """loss = -E[log p(x | z)] + KL(q(z | x) || N(0, 1)) in nats per item, q(z | x) = N(mean, exp(log_variance)).

    The `likelihood` says what the reconstruction is: probabilities (bernoulli), their logits (bernoulli-logits), or the
    mean of a Gaussian of standard deviation `scale`; auto tells by the example and what the network makes of it.
    Samples are means of p(x | z), from z ~ N(0, 1) [n, *latent] by the method or submodule `decoder`, which is found
    where it is called `decode` or `decoder`; without one there is no sampler.
    """

    name: ClassVar[str] = "vae"

    likelihood: str = "auto"
    scale: float = 1.0
    decoder: str | None = None
    latent: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        refuse_unless(
            self.likelihood in LIKELIHOODS,
            f"vae: likelihood={self.likelihood!r} is not understood",
            f"It is {', '.join(LIKELIHOODS[:-1])} or {LIKELIHOODS[-1]}.",
        )
        refuse_unless(self.scale > 0, f"vae: scale={self.scale}", "Give a standard deviation above 0.")

    def fitted(self, network: nn.Module, example: Example) -> Vae:
        """Runs a copy of the network once where that is needed to know its latents or its likelihood."""
        decoder = self.decoder or next((name for name in DECODERS if callable(getattr(network, name, None))), None)
        refuse_unless(
            decoder is None or callable(getattr(network, decoder, None)),
            f"vae: the network has no {decoder!r}",
            "Name the method or the submodule that decodes latents with the setting `decoder`.",
        )
        found = replace(super().fitted(network, example), decoder=decoder)
        if found.likelihood != "auto" and found.latent is not None:
            return found
        with seeded(), torch.no_grad():
            inputs = example(16)
            reconstruction, mean, _ = posterior(fresh_copy(network).eval()(*inputs))
        likelihood = found_likelihood(inputs[0], reconstruction) if found.likelihood == "auto" else found.likelihood
        return replace(found, likelihood=likelihood, latent=tuple(mean.shape[1:]))

    def can_sample(self, network: nn.Module, inputs: int) -> bool:
        return self.decoder is not None and super().can_sample(network, inputs)

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, *shape] -> the negative evidence lower bound of each item in nats, [n]"""
        reconstruction, mean, log_variance = posterior(network(x, *condition))
        if self.likelihood == "gaussian":
            misfit = gaussian_misfit(reconstruction.reshape(x.shape), x, self.scale)
        elif self.likelihood == "bernoulli":
            misfit = F.binary_cross_entropy(reconstruction.reshape(x.shape), x, reduction="none")
        else:
            misfit = F.binary_cross_entropy_with_logits(reconstruction.reshape(x.shape), x, reduction="none")
        return misfit.flatten(1).sum(1) + divergence(mean, log_variance)

    def begin(self, n: int, device: torch.device) -> Tensor:
        """Latents of the prior, [n, *latent]."""
        return torch.randn(n, *self.latent, device=device)

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, *latent] -> items [n, *shape]"""
        decoded = prediction(getattr(network, self.decoder)(z, *given(labels))).reshape(z.shape[0], *self.shape)
        return decoded.sigmoid() if self.likelihood == "bernoulli-logits" else decoded


def posterior(output: Any) -> list[Tensor]:
    """Reconstruction, mean and log-variance: the first three tensors that the network returns."""
    found = tensors_of(output)[:3]
    if len(found) < 3 or found[1].shape != found[2].shape:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in found)
        raise ValueError(f"the network returns {shapes}, not a reconstruction, a mean and a log-variance of one shape")
    return found


def found_likelihood(x: Tensor, reconstruction: Tensor) -> str:
    """What `auto` stands for: data beyond [0, 1] are Gaussian, and logits leave the range of probabilities."""
    if x.min() < 0 or x.max() > 1:
        return "gaussian"
    return "bernoulli" if reconstruction.min() >= 0 and reconstruction.max() <= 1 else "bernoulli-logits"


def gaussian_misfit(mean: Tensor, x: Tensor, scale: float) -> Tensor:
    """-log N(x; mean, scale^2), for each number"""
    return 0.5 * ((x - mean) / scale).square() + (math.log(scale) + 0.5 * math.log(2 * math.pi))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each item, [n, *latent] -> [n]"""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).flatten(1).sum(1)
