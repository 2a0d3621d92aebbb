"""Generative adversarial networks: a generator(z), or generator(z, labels), and the critic that it plays against.

Goodfellow et al. (arXiv 1406.2661), Lim and Ye (arXiv 1705.02894), Mescheder et al. (arXiv 1801.04406).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture.fake import needs_faking
from hypergen_compiler.capture.prepare import fresh_copy, seeded
from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Conditional, Example, given, refuse_unless
from hypergen_compiler.request.source import resolve_model

__all__ = ["Adversarial", "Gan", "squared_slope"]

OBJECTIVES = ("non-saturating", "hinge")


class Adversarial(nn.Module):
    """A generator and its critic as one model, which generates when it is called."""

    def __init__(self, generator: nn.Module, critic: nn.Module):
        super().__init__()
        self.generator, self.critic = generator, critic

    def forward(self, *inputs: Any) -> Any:
        return self.generator(*inputs)


@dataclass(frozen=True)
class Gan(Conditional):
    """Samples are generator(z), z ~ N(0, 1) [n, *latent]; the critic scores items, high where it takes them for data.

    The generator lowers softplus(-critic(sample)), the critic softplus(-critic(x)) + softplus(critic(sample)): this is
    the `objective` non-saturating. Under hinge they lower -critic(sample) and max(0, 1 - critic(x)) +
    max(0, 1 + critic(sample)). The critic also pays the penalty R1, r1 / 2 times its score's squared slope at x.
    The `critic` is a module, or a reference such as `file.py:Name`; a hypernetwork emits the generator's weights, and
    the critic's are trained beside it. With `classes` both read the labels too. `latent` may be a number.
    """

    name: ClassVar[str] = "gan"

    critic: nn.Module | str | None = None
    objective: str = "non-saturating"
    r1: float = 10.0
    latent: tuple[int, ...] | int = (64,)

    def __post_init__(self) -> None:
        known = self.objective in OBJECTIVES
        refuse_unless(
            known, f"gan: objective={self.objective!r} is not understood", f"It is {' or '.join(OBJECTIVES)}."
        )
        refuse_unless(self.r1 >= 0, f"gan: r1={self.r1}", "Give a weight above 0, or 0 for no penalty.")

    def around(self, network: nn.Module) -> Adversarial:
        """The generator with its critic. Raises HG107 without one that can be trained, HG10x if it cannot be made."""
        critic = resolve_model(self.critic).model if isinstance(self.critic, str) else self.critic
        refuse_unless(
            isinstance(critic, nn.Module),
            "gan: there is no critic" if critic is None else f"gan: critic={critic!r} is no nn.Module",
            "Give a module that scores items: `critic=Discriminator()`, or `--recipe-set critic=path/to/file.py:Name`.",
        )
        trained = any(parameter.requires_grad for parameter in critic.parameters())
        refuse_unless(trained, "gan: the critic has no weights to train", "Unfreeze it with `requires_grad_(True)`.")
        return Adversarial(network, critic)

    def fitted(self, network: nn.Module, example: Example) -> Gan:
        """Runs a copy of the generator once, where that is possible. Raises ValueError where it does not fit."""
        found = super().fitted(network, example)
        if needs_faking(network):
            return found
        with seeded(), torch.no_grad():
            inputs = example(16)
            latents = found.begin(16, inputs[0].device)
            try:
                fresh_copy(network).eval()(latents, *inputs[1:])
            except Exception as error:
                what = f"the generator fails on latents {list(latents.shape)}"
                raise ValueError(f"{what}, which follow the setting `latent`: {error}") from error
        return found

    def conditions(self, network: nn.Module) -> list[str]:
        return list(inspect.signature(network.generator.forward).parameters)[1:]

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, *shape] -> the generator's mean loss, low where the critic takes its samples for data"""
        score = self.score(network, self.draw(network, x, *condition), *condition)
        return -score.mean() if self.objective == "hinge" else F.softplus(-score).mean()

    def critic_loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, *shape] -> the critic's mean loss, low where it tells the data from the generator's samples"""
        with torch.no_grad():
            drawn = self.draw(network, x, *condition)
        if self.r1:
            x = x.detach().requires_grad_()
        score, drawn_score = self.score(network, x, *condition), self.score(network, drawn, *condition)
        if self.objective == "hinge":
            loss = F.relu(1 - score).mean() + F.relu(1 + drawn_score).mean()
        else:
            loss = F.softplus(-score).mean() + F.softplus(drawn_score).mean()
        return loss + 0.5 * self.r1 * squared_slope(score, x) if self.r1 else loss

    def begin(self, n: int, device: torch.device) -> Tensor:
        """Latents, [n, *latent]."""
        size = (self.latent,) if isinstance(self.latent, int) else self.latent
        return torch.randn(n, *size, device=device)

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, *latent] -> items [n, *shape]"""
        return prediction(network.generator(z, *given(labels))).reshape(z.shape[0], *self.shape)

    def draw(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """As many samples as there are items in x, under the same conditions."""
        return self.generate(network, self.begin(x.shape[0], x.device), *condition)

    def score(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        return prediction(network.critic(x, *condition))


def squared_slope(score: Tensor, x: Tensor) -> Tensor:
    """The mean over items of |d score / d x|^2, for scores of x [n, ...]"""
    (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()
