"""Mixtures of Gaussians around a network that returns their parameters, and other mixtures that have `log_prob`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hypergen_compiler.recipes.nll import Nll
from hypergen_compiler.recipes.outputs import tensors_of

__all__ = ["Mixture", "component_log_prob", "draw_from_components"]


@dataclass(frozen=True)
class Mixture(Nll):
    """p(x) = sum_k softmax(logits)_k N(x; mean_k, exp(log_scale_k)^2), for x [n, d].

    `network()`, or `network(condition)` for a mixture density network (Bishop 1994), returns logits [..., k] and means
    and log-scales [..., k, d]. A model with `log_prob`, or one that returns a distribution, is treated as by `nll`.
    Samples carry a gradient to means and scales, and none to the choice of the component.
    """

    name: ClassVar[str] = "mixture"

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, d] -> the negative log-likelihood of each item in nats, [n]"""
        if hasattr(network, "log_prob"):
            return super().loss(network, x, *condition)
        output = network(*condition)
        if hasattr(output, "log_prob"):
            return -output.log_prob(x)
        logits, means, log_scales = components_of(output)
        joint = logits.log_softmax(-1) + component_log_prob(x, means, log_scales)
        return -joint.logsumexp(-1)

    def sample(self, network: nn.Module, n: int) -> Tensor:
        """-> [n, d]"""
        if hasattr(network, "log_prob"):
            return super().sample(network, n)
        output = network()
        if hasattr(output, "log_prob"):
            return super().sample(network, n)
        return draw_from_components(n, *components_of(output))


def components_of(output: Any) -> list[Tensor]:
    found = tensors_of(output)
    if len(found) != 3:
        raise ValueError(f"the network returns {len(found)} tensors: a mixture needs logits, means and log-scales")
    return found


def component_log_prob(x: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """x [n, d], means and log-scales [..., k, d] -> log N(x; mean, scale^2) under each component, [n, k]"""
    standardised = (x.unsqueeze(-2) - means) * torch.exp(-log_scales)
    return (-0.5 * standardised.square() - log_scales - 0.5 * math.log(2 * math.pi)).sum(-1)


def draw_from_components(n: int, logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """n items of the mixture, [n, d], from logits [k] and means and log-scales [k, d]"""
    chosen = torch.multinomial(logits.softmax(-1), n, replacement=True)
    return means[chosen] + torch.exp(log_scales[chosen]) * torch.randn_like(means[chosen])
