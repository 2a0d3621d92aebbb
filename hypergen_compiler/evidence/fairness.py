"""The experiment `fairness`: a rare class under plain training, its rivals and hypernetworks, and the knob.

First a pair of classes, one of them rare: how much of it a model draws, and how well it knows it; and the knob, what is
drawn against what is requested. Then all classes at random mixtures.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.classifier import classifier
from hypergen_compiler.evidence.fairness_values import (
    Setting,
    Values,
    generated,
    mixed_values,
    pair_values,
    prepared,
    real_values,
)
from hypergen_compiler.evidence.groups import Part, pictures, problem
from hypergen_compiler.evidence.hypernetworks import LITERAL, MAIN, NO_PENALTY, PARTS, RECIPES, Recipe, emissions
from hypergen_compiler.evidence.kept import Kept
from hypergen_compiler.evidence.rivals import conditional, initial, oversampled, tuned
from hypergen_compiler.evidence.views import At, OfLabels, OfWeights, View
from hypergen_compiler.version import VERSION

__all__ = [
    "CONCENTRATION",
    "FULL",
    "HALF",
    "LADDER",
    "MIXTURES",
    "NEAREST",
    "PLAIN",
    "QUICK",
    "REAL",
    "REQUESTED",
    "TOLD",
    "Effort",
    "Found",
    "Results",
    "measure",
]

REQUESTED = (0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.95)
MIXTURES = 8  # of all classes
CONCENTRATION = 0.3  # of the Dirichlet distribution that they are drawn from
REAL, PLAIN, TOLD = "test pictures", "plain", "plain, told the class"
LADDER, NEAREST, HALF = "plain, a training for each share", "plain, oversampled to draw the share", "plain, balanced"

Measure = Callable[[View, Setting], Values]
Found = dict[str, list[Values]]  # of each method, one a seed


@dataclass(frozen=True)
class Effort:
    """How much is trained: for a pair and for all classes (`mixed`) the steps and the recipes, `workers` at a time."""

    seeds: int
    steps: int
    mixed_steps: int
    recipes: tuple[Recipe, ...]
    mixed_recipes: tuple[Recipe, ...]
    workers: int = 2


@dataclass(frozen=True)
class Results:
    """What was measured, on `data`, with how much training; `pair` are the common and the rare class.

    `name` is what files of it are called; `counts` are the training pictures of the two.
    """

    name: str
    data: str
    pair: tuple[int, int]
    share: float
    counts: tuple[int, int]
    seeds: int
    steps: int
    mixed_steps: int
    of_pair: Found
    of_mixtures: Found


QUICK = Effort(2, 300, 300, (PARTS, NO_PENALTY, MAIN), (MAIN,))
FULL = Effort(4, 1000, 2000, RECIPES, (NO_PENALTY, LITERAL, MAIN))


def measure(
    file: Path | None, pair: tuple[int, int], share: float, effort: Effort, out: Path | None, tell: Progress
) -> Results:
    """The whole experiment, on the digits or a file's pictures. What is done lies in `out` until all is."""
    data, everything = pictures(file)
    name = "fairness" if file is None else f"fairness-{file.stem}"
    description = f"{VERSION} {data} {pair} {share:g} {effort.seeds} {effort.steps} {effort.mixed_steps}"
    kept = Kept(None if out is None else out / f"{name}.partial", description)
    of_pair = measure_pair(data, everything, pair, share, effort, kept, tell)
    of_mixtures = measure_mixtures(data, everything, effort, kept, tell)
    kept.forget()
    labels = problem(data, everything, pair, share, 0).train.labels
    counts = ((labels == 0).sum().item(), (labels == 1).sum().item())
    return Results(
        name, data, pair, share, counts, effort.seeds, effort.steps, effort.mixed_steps, of_pair, of_mixtures
    )


def measure_pair(
    data: str, everything: Part, pair: tuple[int, int], share: float, effort: Effort, kept: Kept, tell: Progress
) -> Found:
    """Every method's values on a pair of classes, the second of which is made rare."""
    asked = torch.tensor([[1 - x, x] for x in REQUESTED])
    problems = [problem(data, everything, pair, share, seed) for seed in range(effort.seeds)]
    settings = prepared(problems, asked, classifier(problems[0].judge, 2))
    found: Found = {REAL: [real_values(setting, seed) for seed, setting in enumerate(settings)]}
    tell("plain trainings of the pair")
    part = "plain trainings of the pair"
    found |= kept.known(part) or kept.add(part, plain_of_pair(settings, share, effort.steps))
    return found | hypernetworks(effort.recipes, settings, effort.steps, effort.workers, pair_values, kept, tell)


def measure_mixtures(data: str, everything: Part, effort: Effort, kept: Kept, tell: Progress) -> Found:
    """Every method's values on all classes at random mixtures."""
    classes = tuple(sorted(set(everything.labels.tolist())))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        asked = torch.distributions.Dirichlet(torch.full((len(classes),), CONCENTRATION)).sample((MIXTURES,))
    problems = [problem(data, everything, classes, None, seed) for seed in range(effort.seeds)]
    settings = prepared(problems, asked, classifier(problems[0].judge, len(classes)))
    tell("plain trainings on all classes")
    part = "plain trainings on all classes"
    found: Found = kept.known(part) or kept.add(
        part, measured(plain(settings, effort.mixed_steps), settings, mixed_values)
    )
    return found | hypernetworks(
        effort.mixed_recipes, settings, effort.mixed_steps, effort.workers, mixed_values, kept, tell
    )


def plain_of_pair(settings: Sequence[Setting], share: float, steps: int) -> Found:
    """The plain trainings, and two that one would choose from the ladder: half and half, and what comes nearest."""
    views = plain(settings, steps)
    found = measured(views, settings, pair_values)
    half = [1 + REQUESTED.index(0.5)] * len(settings)
    drawn = [[abs(values[generated(x)] - share) for x in REQUESTED] for values in found[LADDER]]
    nearest = [1 + distances.index(min(distances)) for distances in drawn]
    chosen = {
        name: [At(view, rung) for view, rung in zip(views[LADDER], rungs, strict=True)]
        for name, rungs in ((HALF, half), (NEAREST, nearest))
    }
    return found | measured(chosen, settings, pair_values)


def plain(settings: Sequence[Setting], steps: int) -> dict[str, list[View]]:
    """Plain training at the data's own mixture, at each requested one, and told the class, a view for each seed."""
    problems, mixtures = [setting.problem for setting in settings], [setting.mixtures for setting in settings]
    own, rates = tuned(problems, steps)
    rungs = oversampled(problems, mixtures[0][1:], rates, steps)
    told, states, _ = conditional(problems, steps)
    rows = [{name: x[i : i + 1] for name, x in own.items()} for i in range(len(problems))]
    ladder = [{name: torch.cat([row[name], rung[name]]) for name in row} for row, rung in zip(rows, rungs, strict=True)]
    model = initial(problems[0], 0)
    return {
        PLAIN: [OfWeights(model, row) for row in rows],
        LADDER: [OfWeights(model, rung) for rung in ladder],
        TOLD: [
            OfLabels(told, {name: x[i] for name, x in states.items()}, mixture) for i, mixture in enumerate(mixtures)
        ],
    }


def measured(views: Mapping[str, Sequence[View]], settings: Sequence[Setting], values: Measure) -> Found:
    return {
        method: [values(view, setting) for view, setting in zip(of_seeds, settings, strict=True)]
        for method, of_seeds in views.items()
    }


def hypernetworks(
    recipes: Sequence[Recipe],
    settings: Sequence[Setting],
    steps: int,
    count: int,
    values: Measure,
    kept: Kept,
    tell: Progress,
) -> Found:
    """Each recipe's values. What is missing is trained in processes of their own, unless there is to be one worker."""
    known = {recipe: kept.known(part_of(recipe, settings)) for recipe in recipes}
    missing = [recipe for recipe in recipes if known[recipe] is None]
    train = partial(recipe_values, settings=settings, steps=steps, values=values)
    with workers(min(count, len(missing))) as mapped:
        results = mapped(train, missing)
        for recipe in recipes:
            if known[recipe] is None:
                known[recipe] = kept.add(part_of(recipe, settings), next(results))
                tell(f"{recipe.name}: trained for {len(settings)} seeds")
    return {recipe.name: known[recipe] for recipe in recipes}


@contextmanager
def workers(count: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over several processes, or the usual one."""
    if count < 2:
        yield map
    else:
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            yield pool.map


def part_of(recipe: Recipe, settings: Sequence[Setting]) -> str:
    return f"{len(settings[0].problem.classes)} classes: {recipe.name}"


def recipe_values(recipe: Recipe, settings: Sequence[Setting], steps: int, values: Measure) -> list[Values]:
    """A recipe's values for every seed."""
    problems = [setting.problem for setting in settings]
    emitted = emissions(recipe, problems, settings[0].mixtures[1:], steps)
    model = initial(problems[0], 0)
    views = [OfWeights(model, states) for states in emitted]
    return [values(view, setting) for view, setting in zip(views, settings, strict=True)]
