"""Maximum likelihood for a model that has `log_prob`, or that returns a distribution which has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.distributions import Distribution

from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Recipe

__all__ = ["Nll", "drawn", "sampling_method"]

SHAPE_NAMES = ("sample_shape", "shape", "size")  # of arguments that take (n,) and not n


@dataclass(frozen=True)
class Nll(Recipe):
    """loss = -log p(x); samples are the model's own, by `rsample`, which keeps their gradient, before `sample`.

    A model without `log_prob` is called for the distribution, as in zuko. With further inputs, those of the loss, the
    likelihood is conditional, and there is no sampler.
    """

    name: ClassVar[str] = "nll"

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, ...] -> the negative log-likelihood of each item in nats, [n]"""
        if hasattr(network, "log_prob"):
            return -network.log_prob(x, *condition)
        return -network(*condition).log_prob(x)

    def conditions(self, network: nn.Module) -> list[str]:
        if not hasattr(network, "log_prob"):
            return list(inspect.signature(network.forward).parameters)
        return list(inspect.signature(network.log_prob).parameters)[1:]

    def sample(self, network: nn.Module, n: int) -> Tensor:
        """-> [n, ...]"""
        return drawn(network if hasattr(network, "log_prob") else network(), n)

    def can_sample(self, network: nn.Module, inputs: int) -> bool:
        """Whether a sampler can be called with the number of samples alone; a distribution's always can."""
        return inputs == 1 and (not hasattr(network, "log_prob") or sampling_method(network) is not None)


def drawn(density: Any, n: int) -> Tensor:
    """n samples of a distribution, or of a model that has `rsample` or `sample`."""
    if isinstance(density, Distribution):
        return density.rsample((n,)) if density.has_rsample else density.sample((n,))
    return prediction(sampling_method(density)(n))


def sampling_method(model: nn.Module) -> Callable[[int], Any] | None:
    """The model's own `rsample` or `sample` as a function of n, None if neither can be called with one argument."""
    for name in ("rsample", "sample"):
        method = getattr(model, name, None)
        if not callable(method):
            continue
        try:
            bound = inspect.signature(method).bind(1)
        except TypeError:
            continue
        takes_shape = next(iter(bound.arguments)) in SHAPE_NAMES
        return (lambda n, method=method: method((n,))) if takes_shape else method
    return None
