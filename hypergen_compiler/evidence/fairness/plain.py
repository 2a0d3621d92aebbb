"""Plain training, the rival: many runs of one module at once, each with its own data, rate and weights of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

__all__ = ["RATES", "Jobs", "Stacked", "fitted", "stacked"]

Stacked = dict[str, Tensor]  # a state_dict whose tensors have a row for each run

RATES = (1e-3, 3e-3, 1e-2)  # that plain training is tuned over
CHECKS = 8  # times in a run that the validation loss is taken; the weights of the best are kept
CLIP = 20.0  # of a run's gradient


@dataclass(frozen=True)
class Jobs:
    """What runs train on, a row for each: tensors [runs, n, ...] that the loss takes, and shares of rows [runs, n]."""

    train: tuple[Tensor, ...]
    weights: Tensor
    validation: tuple[Tensor, ...]
    validation_weights: Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def repeated(self, times: int) -> Jobs:
        """All jobs, and all of them again behind: [runs, ...] -> [times * runs, ...]"""
        again = [tuple(torch.cat([x] * times) for x in part) for part in (self.train, self.validation)]
        weights = [torch.cat([x] * times) for x in (self.weights, self.validation_weights)]
        return Jobs(again[0], weights[0], again[1], weights[1])


def fitted(
    model: nn.Module, initial: Stacked, jobs: Jobs, rates: Tensor, steps: int, batch: int, seed: int
) -> tuple[Stacked, Tensor]:
    """The weights of every job at the best of its rates [choices, runs] and of CHECKS steps, by validation loss; and
    that rate, [runs].

    Adam with a cosine schedule to a twentieth. `initial` are the weights that each run starts from.
    """
    choices, runs, every = *rates.shape, max(1, steps // CHECKS)
    jobs = jobs.repeated(choices)
    weights = {name: torch.cat([x] * choices).requires_grad_() for name, x in initial.items()}
    optimizer = Adam(list(weights.values()))
    best, found = torch.full((len(jobs),), math.inf), {name: x.detach().clone() for name, x in weights.items()}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step in range(1, steps + 1):
            chosen = torch.multinomial(jobs.weights, batch, replacement=True)
            loss = losses(model, weights, tuple(rows(part, chosen) for part in jobs.train)).mean(1)
            gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
            schedule = max(0.05, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            optimizer.step(gradients, schedule * rates.flatten())
            if step % every == 0 or step == steps:
                keep_best(model, weights, jobs, best, found)
    choice = best.view(choices, runs).argmin(0)
    place = choice * runs + torch.arange(runs)
    return {name: x[place] for name, x in found.items()}, rates[choice, torch.arange(runs)]


@torch.no_grad()
def keep_best(model: nn.Module, weights: Stacked, jobs: Jobs, best: Tensor, found: Stacked) -> None:
    """Takes over the weights of those runs whose validation loss, a mean of four draws, is lower than ever before."""
    taken = sum(losses(model, weights, jobs.validation) for _ in range(4)) / 4
    loss = (taken * jobs.validation_weights).sum(1)
    better = loss < best
    best[better] = loss[better]
    for name, x in weights.items():
        found[name][better] = x.detach()[better]


def losses(model: nn.Module, weights: Stacked, inputs: tuple[Tensor, ...]) -> Tensor:
    """The loss of every item under its run's weights: [runs, n]"""
    names = list(weights)

    def of_run(values: tuple[Tensor, ...], items: tuple[Tensor, ...]) -> Tensor:
        return functional_call(Loss(model), {f"model.{name}": x for name, x in zip(names, values, strict=True)}, items)

    return vmap(of_run, randomness="different")(tuple(weights.values()), inputs)


class Loss(nn.Module):
    """A model's loss as its forward pass, which is what `functional_call` calls."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model.loss(*inputs)


class Adam:
    """Adam with a rate for every run, and a limit on the norm of every run's gradient."""

    def __init__(self, parameters: Sequence[Tensor]):
        self.parameters, self.count = parameters, 0
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Tensor) -> None:
        self.count += 1
        norm = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in gradients]).sum(0).sqrt()
        shrink = (CLIP / norm.clamp_min(1e-12)).clamp_max(1)
        usual, rates = math.sqrt(1 - 0.999**self.count), rates / (1 - 0.9**self.count)
        for p, g, first, second in zip(self.parameters, gradients, self.first, self.second, strict=True):
            g = g * along(shrink, g)
            first.lerp_(g, 0.1)
            second.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(along(rates, p) * first / (second.sqrt() / usual + 1e-8))


def along(values: Tensor, like: Tensor) -> Tensor:
    """[runs] -> [runs, 1, ...]"""
    return values.view(-1, *[1] * (like.ndim - 1))


def rows(part: Tensor, chosen: Tensor) -> Tensor:
    """Each run's chosen rows, [runs, n, ...] and [runs, batch] -> [runs, batch, ...]"""
    return part[torch.arange(len(part)).unsqueeze(1), chosen]


def stacked(states: Sequence[dict[str, Tensor]]) -> Stacked:
    return {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
