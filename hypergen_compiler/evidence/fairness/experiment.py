"""The experiment `fairness`: a rare class under plain training, its rivals and hypernetworks, and the knob.

First a pair of classes, one of them rare: how much of it a model draws, and how well it knows it; and the knob, what is
drawn against what is requested. Then all classes at random mixtures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.fairness.effort import (
    CONCENTRATION,
    HALF,
    LADDER,
    MIXTURES,
    NEAREST,
    REAL,
    REQUESTED,
    Contest,
    Effort,
    Found,
    Results,
)
from hypergen_compiler.evidence.fairness.families import FAMILIES, Family
from hypergen_compiler.evidence.fairness.hypernetworks import hypernetworks, usual_of
from hypergen_compiler.evidence.fairness.judge import classifier
from hypergen_compiler.evidence.fairness.rivals import plain, told_evenly
from hypergen_compiler.evidence.fairness.values import (
    Measure,
    Setting,
    generated,
    mixed_values,
    pair_values,
    prepared,
    real_values,
)
from hypergen_compiler.evidence.fairness.views import At, View
from hypergen_compiler.evidence.groups import Part, pictures, problem
from hypergen_compiler.evidence.kept import Kept
from hypergen_compiler.version import VERSION

__all__ = ["measure"]


def measure(
    model: str, file: Path | None, pair: tuple[int, int], share: float, effort: Effort, out: Path | None, tell: Progress
) -> Results:
    """The whole experiment with a model of FAMILIES, on the digits or a file's pictures. What is done lies in `out`
    until all is."""
    family = FAMILIES[model]
    data, everything = pictures(file)
    first = problem(data, everything, pair, share, 0)
    recipe = usual_of(family, first.side)
    name = "-".join(["fairness", *([] if model == "vae" else [model]), *([] if file is None else [file.stem])])
    steps = f"{effort.seeds} {effort.steps} {effort.mixed_steps}"
    kept = Kept(None if out is None else out / f"{name}.partial", f"{VERSION} {model} {data} {pair} {share:g} {steps}")
    contest = Contest(family, recipe, effort, kept, tell)
    of_pair = measure_pair(contest, data, everything, pair, share)
    of_mixtures = measure_mixtures(contest, data, everything)
    kept.forget()
    counts = ((first.train.labels == 0).sum().item(), (first.train.labels == 1).sum().item())
    return Results(
        name,
        model,
        data,
        pair,
        share,
        counts,
        effort.seeds,
        effort.steps,
        effort.mixed_steps,
        recipe,
        of_pair,
        of_mixtures,
    )


def measure_pair(contest: Contest, data: str, everything: Part, pair: tuple[int, int], share: float) -> Found:
    """Every method's values on a pair of classes, the second of which is made rare."""
    effort, kept = contest.effort, contest.kept
    asked = torch.tensor([[1 - x, x] for x in REQUESTED])
    problems = [problem(data, everything, pair, share, seed) for seed in range(effort.seeds)]
    settings = prepared(problems, asked, classifier(problems[0].judge, 2))
    found: Found = {REAL: [real_values(setting, seed) for seed, setting in enumerate(settings)]}
    contest.tell("plain trainings of the pair")
    part = "plain trainings of the pair"
    found |= kept.known(part) or kept.add(part, plain_of_pair(contest.family, settings, share, effort.steps))
    part = "told the class, balanced"
    found |= kept.known(part) or kept.add(
        part, measured(told_evenly(contest.family, settings, effort.steps), settings, pair_values)
    )
    return found | hypernetworks(contest, effort.recipes, settings, effort.steps, pair_values)


def measure_mixtures(contest: Contest, data: str, everything: Part) -> Found:
    """Every method's values on all classes at random mixtures."""
    effort, kept = contest.effort, contest.kept
    classes = tuple(sorted(set(everything.labels.tolist())))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        asked = torch.distributions.Dirichlet(torch.full((len(classes),), CONCENTRATION)).sample((MIXTURES,))
    problems = [problem(data, everything, classes, None, seed) for seed in range(effort.seeds)]
    settings = prepared(problems, asked, classifier(problems[0].judge, len(classes)))
    contest.tell("plain trainings on all classes")
    part = "plain trainings on all classes"
    found: Found = kept.known(part) or kept.add(
        part, measured(plain(contest.family, settings, effort.mixed_steps), settings, mixed_values)
    )
    return found | hypernetworks(contest, effort.mixed_recipes, settings, effort.mixed_steps, mixed_values)


def plain_of_pair(family: Family, settings: Sequence[Setting], share: float, steps: int) -> Found:
    """The plain trainings, and two that one would choose from the ladder: half and half, and what comes nearest."""
    views = plain(family, settings, steps)
    found = measured(views, settings, pair_values)
    half = [1 + REQUESTED.index(0.5)] * len(settings)
    drawn = [[abs(values[generated(x)] - share) for x in REQUESTED] for values in found[LADDER]]
    nearest = [1 + distances.index(min(distances)) for distances in drawn]
    chosen = {
        name: [At(view, rung) for view, rung in zip(views[LADDER], rungs, strict=True)]
        for name, rungs in ((HALF, half), (NEAREST, nearest))
    }
    return found | measured(chosen, settings, pair_values)


def measured(views: Mapping[str, Sequence[View]], settings: Sequence[Setting], values: Measure) -> Found:
    return {
        method: [values(view, setting) for view, setting in zip(of_seeds, settings, strict=True)]
        for method, of_seeds in views.items()
    }
