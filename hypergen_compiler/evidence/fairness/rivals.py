"""Plain trainings of the experiment `fairness`: at the data's own mixture, oversampled, and told the group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hypergen_compiler.evidence.fairness.effort import LADDER, PLAIN, TOLD, TOLD_EVENLY
from hypergen_compiler.evidence.fairness.families import Family, initial
from hypergen_compiler.evidence.fairness.plain import RATES, Jobs, Stacked, fitted, stacked
from hypergen_compiler.evidence.fairness.values import Setting
from hypergen_compiler.evidence.fairness.views import OfLabels, OfWeights, View
from hypergen_compiler.evidence.groups import Part, Problem

__all__ = ["plain", "told_evenly"]

BATCH = 256  # items of a step, as many as the small datasets of a hypernetwork's step hold together


def jobs(problems: Sequence[Problem], asked: Sequence[Tensor], labels: bool = False) -> Jobs:
    """A job for every problem and its shares of the groups, to train and to validate at."""

    def inputs(parts: Sequence[Part]) -> tuple[Tensor, ...]:
        images = torch.stack([part.images for part in parts])
        return (images, torch.stack([part.labels for part in parts])) if labels else (images,)

    train, validation = ([getattr(problem, name) for problem in problems] for name in ("train", "validation"))
    weights = [
        torch.stack([part.weights(shares) for part, shares in zip(parts, asked, strict=True)])
        for parts in (train, validation)
    ]
    return Jobs(inputs(train), weights[0], inputs(validation), weights[1])


def tuned(family: Family, problems: Sequence[Problem], steps: int) -> tuple[Stacked, Tensor]:
    """Plain training at the data's own mixture: weights and the best rate, a row for each seed's problem."""
    starts = stacked([initial(family, problem.side, seed).state_dict() for seed, problem in enumerate(problems)])
    own = jobs(problems, [problem.shares for problem in problems])
    rates = torch.tensor(RATES).unsqueeze(1).expand(-1, len(problems))
    return fitted(initial(family, problems[0].side, 0), starts, own, rates, steps, BATCH, seed=1)


def oversampled(family: Family, problems: Sequence[Problem], asked: Tensor, rates: Tensor, steps: int) -> list[Stacked]:
    """For each problem a plain training at each of the shares [k, groups], at the problem's best rate."""
    many = [problem for problem in problems for _ in asked]
    starts = stacked(
        [initial(family, problem.side, seed).state_dict() for seed, problem in enumerate(problems) for _ in asked]
    )
    repeated = rates.repeat_interleave(len(asked)).unsqueeze(0)
    work = jobs(many, [shares for _ in problems for shares in asked])
    found, _ = fitted(initial(family, problems[0].side, 0), starts, work, repeated, steps, BATCH, seed=2)
    return [{name: x[i : i + len(asked)] for name, x in found.items()} for i in range(0, len(many), len(asked))]


def told(family: Family, settings: Sequence[Setting], shares: Sequence[Tensor], steps: int) -> list[View]:
    """Plain training of a model that is told the group, on rows with these shares [groups] for each seed."""
    problems, modules = [setting.problem for setting in settings], []
    for seed, problem in enumerate(problems):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            modules.append(family.make_told(problem.side, len(problem.classes)))
    starts = stacked([module.state_dict() for module in modules])
    rates = torch.tensor(RATES).unsqueeze(1).expand(-1, len(problems))
    states, _ = fitted(modules[0], starts, jobs(problems, shares, labels=True), rates, steps, BATCH, seed=3)
    return [
        OfLabels(modules[0], {name: x[i] for name, x in states.items()}, setting.mixtures)
        for i, setting in enumerate(settings)
    ]


def plain(family: Family, settings: Sequence[Setting], steps: int) -> dict[str, list[View]]:
    """Plain training at the data's own mixture, at each requested one, and told the class, a view for each seed."""
    problems = [setting.problem for setting in settings]
    own, rates = tuned(family, problems, steps)
    rungs = oversampled(family, problems, settings[0].mixtures[1:], rates, steps)
    rows = [{name: x[i : i + 1] for name, x in own.items()} for i in range(len(problems))]
    ladder = [{name: torch.cat([row[name], rung[name]]) for name in row} for row, rung in zip(rows, rungs, strict=True)]
    model = initial(family, problems[0].side, 0)
    return {
        PLAIN: [OfWeights(model, row) for row in rows],
        LADDER: [OfWeights(model, rung) for rung in ladder],
        TOLD: told(family, settings, [problem.shares for problem in problems], steps),
    }


def told_evenly(family: Family, settings: Sequence[Setting], steps: int) -> dict[str, list[View]]:
    """Told the class too, on as many rows of each: what one would do who knows that a class is rare."""
    evenly = torch.full_like(settings[0].mixtures[0], 1 / settings[0].mixtures.shape[1])
    return {TOLD_EVENLY: told(family, settings, [evenly for _ in settings], steps)}
