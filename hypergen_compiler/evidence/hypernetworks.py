"""Hypernetworks of the experiment `fairness`, trained by the packages that HyperGen compiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hypergen_compiler.evidence.groups import Problem
from hypergen_compiler.evidence.packages import compiled, trained
from hypergen_compiler.evidence.plain import Stacked, stacked
from hypergen_compiler.evidence.rivals import initial

__all__ = ["MAIN", "NO_PENALTY", "RECIPES", "Recipe", "emissions"]


@dataclass(frozen=True)
class Recipe:
    """How a hypernetwork is trained: with a penalty, and on mixtures of the groups or without `episodes`.

    Without them the small datasets of a step are random parts of the data, which is all that a single dataset allows.
    """

    name: str
    penalty: str
    episodes: bool


RECIPES = (
    Recipe("hypernetwork, no episodes, no penalty", "none", False),
    Recipe("hypernetwork, no episodes, literal penalty", "literal", False),
    Recipe("hypernetwork, no episodes, unbiased penalty", "unbiased", False),
    Recipe("hypernetwork, episodes, no penalty", "none", True),
    Recipe("hypernetwork, episodes, literal penalty", "literal", True),
    Recipe("hypernetwork, episodes, mean penalty", "mean", True),
    Recipe("hypernetwork, episodes, lagrangian penalty", "lagrangian", True),
    Recipe("hypernetwork, episodes, unbiased penalty", "unbiased", True),
)
NO_PENALTY, MAIN = RECIPES[3].name, RECIPES[7].name  # the second is what a package does by default


def emissions(recipe: Recipe, problems: Sequence[Problem], asked: Tensor, steps: int) -> Iterator[Stacked]:
    """For each problem, one a seed, the plain weights that one training emits: in the first row those for
    the training pictures as they are, then those for the same pictures weighted to each of the shares [k, groups].
    """
    side = problems[0].side
    with compiled(initial(problems[0], 0), example(side), penalty=recipe.penalty) as package:
        for seed, problem in enumerate(problems):
            train = problem.train
            start = package.weights.pack(initial(problem, seed).state_dict())
            labels = train.labels if recipe.episodes else None
            run = trained(package, (train.images,), labels, start=start, steps=steps, seed=seed)
            mixtures = torch.cat([problem.shares.unsqueeze(0), asked])
            flats = [run.emit(train.images, weights=weights) for weights in train.weights(mixtures)]
            yield stacked([package.weights.to_state_dict(flat) for flat in flats])


def example(side: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda n: (torch.rand(n, 1, side, side),)
