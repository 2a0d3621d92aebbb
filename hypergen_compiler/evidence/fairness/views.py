"""What a method learned for one seed, as the measures see it: something that draws pictures and has a loss."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from hypergen_compiler.evidence.fairness.plain import Stacked
from hypergen_compiler.evidence.groups import Part

__all__ = ["At", "OfLabels", "OfWeights", "View"]

DRAWS = 8  # of the model's noise, for a loss


class View(Protocol):
    """`mixture` 0 is the data's own, i the i-th that was asked for."""

    def draw(self, mixture: int, n: int) -> Tensor:
        """n pictures [n, 1, side, side]"""
        ...

    def losses(self, mixture: int, part: Part) -> Tensor:
        """The loss of every picture in nats, [n], a mean of several draws of the model's noise."""
        ...


class OfWeights:
    """A model with weights for each mixture, in rows, or with a single row for all of them."""

    def __init__(self, model: nn.Module, weights: Stacked):
        self.model, self.weights = model, weights

    def at(self, mixture: int) -> nn.Module:
        rows = len(next(iter(self.weights.values())))
        self.model.load_state_dict({name: x[mixture if rows > 1 else 0] for name, x in self.weights.items()})
        return self.model

    @torch.no_grad()
    def draw(self, mixture: int, n: int) -> Tensor:
        return self.at(mixture).sample(n)

    @torch.no_grad()
    def losses(self, mixture: int, part: Part) -> Tensor:
        model = self.at(mixture)
        return torch.stack([model.loss(part.images) for _ in range(DRAWS)]).mean(0)


class OfLabels:
    """A model that is told the group: any mixture is a matter of what it is told. Its loss is that given the group.

    `mixtures` [k, groups] are the data's own and those that may be asked for.
    """

    def __init__(self, model: nn.Module, weights: Stacked, mixtures: Tensor):
        self.model, self.mixtures = model, mixtures
        self.state = weights

    @torch.no_grad()
    def draw(self, mixture: int, n: int) -> Tensor:
        self.model.load_state_dict(self.state)
        return self.model.sample_of(torch.multinomial(self.mixtures[mixture], n, replacement=True))

    @torch.no_grad()
    def losses(self, mixture: int, part: Part) -> Tensor:
        self.model.load_state_dict(self.state)
        return torch.stack([self.model.loss(part.images, part.labels) for _ in range(DRAWS)]).mean(0)


class At:
    """Another view, whatever is asked for, at one of its mixtures."""

    def __init__(self, view: View, mixture: int):
        self.view, self.mixture = view, mixture

    def draw(self, mixture: int, n: int) -> Tensor:
        return self.view.draw(self.mixture, n)

    def losses(self, mixture: int, part: Part) -> Tensor:
        return self.view.losses(self.mixture, part)
