"""Hypernetworks of the experiment `fairness`, trained by the packages that HyperGen compiles."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hypergen_compiler.evidence.fairness.effort import Contest, Found
from hypergen_compiler.evidence.fairness.families import Family, initial
from hypergen_compiler.evidence.fairness.plain import Stacked, stacked
from hypergen_compiler.evidence.fairness.recipes import Recipe
from hypergen_compiler.evidence.fairness.values import Measure, Setting, Values
from hypergen_compiler.evidence.fairness.views import OfWeights
from hypergen_compiler.evidence.groups import Problem
from hypergen_compiler.evidence.packages import compiled, trained, usual

__all__ = ["hypernetworks", "usual_of"]


def hypernetworks(
    contest: Contest, recipes: Sequence[Recipe], settings: Sequence[Setting], steps: int, values: Measure
) -> Found:
    """Each recipe's values. What is missing is trained in processes of their own, unless there is to be one worker."""
    kept, classes = contest.kept, len(settings[0].problem.classes)
    parts = {recipe: f"{classes} classes: {recipe.name}, {json.dumps(contest.usual)}" for recipe in recipes}
    known = {recipe: kept.known(part) for recipe, part in parts.items()}
    missing = [recipe for recipe in recipes if known[recipe] is None]
    train = partial(recipe_values, family=contest.family, settings=settings, steps=steps, values=values)
    with workers(min(contest.effort.workers, len(missing))) as mapped:
        results = mapped(train, missing)
        for recipe in recipes:
            if known[recipe] is None:
                known[recipe] = kept.add(parts[recipe], next(results))
                contest.tell(f"{recipe.name}: trained for {len(settings)} seeds")
    return {recipe.name: known[recipe] for recipe in recipes}


@contextmanager
def workers(count: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over several processes, or the usual one."""
    if count < 2:
        yield map
    else:
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            yield pool.map


def recipe_values(
    recipe: Recipe, family: Family, settings: Sequence[Setting], steps: int, values: Measure
) -> list[Values]:
    """A recipe's values for every seed."""
    problems = [setting.problem for setting in settings]
    emitted = emissions(recipe, family, problems, settings[0].mixtures[1:], steps)
    model = initial(family, problems[0].side, 0)
    views = [OfWeights(model, states) for states in emitted]
    return [values(view, setting) for view, setting in zip(views, settings, strict=True)]


def emissions(
    recipe: Recipe, family: Family, problems: Sequence[Problem], asked: Tensor, steps: int
) -> Iterator[Stacked]:
    """For each problem, one a seed, the plain weights that one training emits: in the first row those for
    the training pictures as they are, then those for the same pictures weighted to each of the shares [k, groups].
    """
    side = problems[0].side
    with compiled(initial(family, side, 0), example(side), penalty=recipe.penalty) as package:
        for seed, problem in enumerate(problems):
            train = problem.train
            start = package.weights.pack(initial(family, problem.side, seed).state_dict())
            single = torch.zeros_like(train.labels)
            labels = {"labels": train.labels, "clusters": None, "parts": single}[recipe.episodes]
            run = trained(package, (train.images,), labels, start=start, steps=steps, seed=seed)
            mixtures = torch.cat([problem.shares.unsqueeze(0), asked])
            if recipe.calibrated:
                flats = [run.calibrated(train.images, labels=train.labels, shares=shares) for shares in mixtures]
            else:
                flats = [run.emit(train.images, weights=weights) for weights in train.weights(mixtures)]
            yield stacked([package.weights.to_state_dict(flat) for flat in flats])


def usual_of(family: Family, side: int) -> dict[str, Any]:
    """The head and the settings that the package of a model comes with."""
    with compiled(initial(family, side, 0), example(side)) as package:
        return usual(package)


def example(side: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda n: (torch.rand(n, 1, side, side),)
