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

__all__ = ["HEAD", "LITERAL", "MAIN", "NO_PENALTY", "PARTS", "RECIPES", "Recipe", "emissions"]


@dataclass(frozen=True)
class Recipe:
    """How a hypernetwork is trained: with a penalty, and what the small datasets of a step are `episodes` of.

    They are mixtures of the labels, or of clusters that are found without labels, or random parts of the data.
    """

    name: str
    penalty: str
    episodes: str


HEAD = "gains"
RECIPES = (
    Recipe("hypernetwork, no episodes, no penalty", "none", "parts"),
    Recipe("hypernetwork, no episodes, literal penalty", "literal", "parts"),
    Recipe("hypernetwork, no episodes, unbiased penalty", "unbiased", "parts"),
    Recipe("hypernetwork, episodes of clusters, unbiased penalty", "unbiased", "clusters"),
    Recipe("hypernetwork, episodes, no penalty", "none", "labels"),
    Recipe("hypernetwork, episodes, literal penalty", "literal", "labels"),
    Recipe("hypernetwork, episodes, mean penalty", "mean", "labels"),
    Recipe("hypernetwork, episodes, lagrangian penalty", "lagrangian", "labels"),
    Recipe("hypernetwork, episodes, unbiased penalty", "unbiased", "labels"),
)
PARTS, LITERAL, NO_PENALTY, MAIN = RECIPES[0], RECIPES[5], RECIPES[4], RECIPES[8]  # the last is the usual one


def emissions(recipe: Recipe, problems: Sequence[Problem], asked: Tensor, steps: int) -> Iterator[Stacked]:
    """For each problem, one a seed, the plain weights that one training emits: in the first row those for
    the training pictures as they are, then those for the same pictures weighted to each of the shares [k, groups].
    """
    side = problems[0].side
    with compiled(initial(problems[0], 0), example(side), head=HEAD, penalty=recipe.penalty) as package:
        for seed, problem in enumerate(problems):
            train = problem.train
            start = package.weights.pack(initial(problem, seed).state_dict())
            single = torch.zeros_like(train.labels)
            labels = {"labels": train.labels, "clusters": None, "parts": single}[recipe.episodes]
            run = trained(package, (train.images,), labels, start=start, steps=steps, seed=seed)
            mixtures = torch.cat([problem.shares.unsqueeze(0), asked])
            flats = [run.emit(train.images, weights=weights) for weights in train.weights(mixtures)]
            yield stacked([package.weights.to_state_dict(flat) for flat in flats])


def example(side: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda n: (torch.rand(n, 1, side, side),)
