"""What the experiment `fairness` measures of one method and one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hypergen_compiler.evidence.fairness.readings import coverage, radii, read_shares
from hypergen_compiler.evidence.fairness.views import View
from hypergen_compiler.evidence.groups import Problem
from hypergen_compiler.evidence.measures import mean_error, share_slope, slope

__all__ = ["Measure", "Setting", "Values", "generated", "mixed_values", "pair_values", "prepared", "real_values"]

DRAWN, COVERING = 4000, 1500  # pictures that shares and coverage are taken from
RARE = 1  # the group of a pair

Values = dict[str, float]
Measure = Callable[[View, "Setting"], Values]


@dataclass(frozen=True)
class Setting:
    """What a seed is measured with: mixtures in rows, the data's own first, and the distances of real pictures."""

    problem: Problem
    judge: nn.Module
    mixtures: Tensor
    real: list[tuple[Tensor, Tensor]]


def prepared(problems: Sequence[Problem], asked: Tensor, judge: nn.Module) -> list[Setting]:
    real = radii(problems[0].test, asked.shape[1])
    return [Setting(problem, judge, torch.cat([problem.shares.unsqueeze(0), asked]), real) for problem in problems]


def generated(share: float) -> str:
    """The key of what is generated where a share is requested."""
    return f"generated at {share:g}"


def pair_values(view: View, setting: Setting) -> Values:
    """A pair's: how much of the rare class is drawn, losses and coverage at the data's own mixture, and the knob."""
    torch.manual_seed(0)
    drawn = view.draw(0, DRAWN)
    read = read_shares(setting.judge, drawn, 2)
    losses = by_group(view, 0, setting)
    covered = coverage(setting.real, drawn[:COVERING])
    requested = setting.mixtures[1:, RARE].tolist()
    found = [drawn_shares(view, mixture, setting)[RARE].item() for mixture in range(1, 1 + len(requested))]
    return {
        "share": read.all[RARE].item(),
        "confident share": read.confident[RARE].item(),
        "unsure": read.unsure,
        "loss, rare": losses[RARE].item(),
        "loss, common": losses[1 - RARE].item(),
        "coverage, rare": covered[RARE],
        "coverage, common": covered[1 - RARE],
        "slope": slope(requested, found),
        "mean error": mean_error(requested, found),
        "loss at the requested mixtures": mixture_loss(view, setting),
        **{generated(share): value for share, value in zip(requested, found, strict=True)},
    }


def mixed_values(view: View, setting: Setting) -> Values:
    """Those of all classes at random mixtures, and of the data's own mixture."""
    torch.manual_seed(0)
    asked = setting.mixtures[1:]
    found = torch.stack([drawn_shares(view, mixture, setting) for mixture in range(1, 1 + len(asked))])
    return {
        "share slope": share_slope(asked, found),
        "distance of shares": 0.5 * (asked - found).abs().sum(1).mean().item(),
        "loss": (by_group(view, 0, setting) * setting.mixtures[0]).sum().item(),
        "loss at the requested mixtures": mixture_loss(view, setting),
    }


def real_values(setting: Setting, seed: int) -> Values:
    """What the measures read in the test's own pictures: the best that can be expected of generated ones."""
    torch.manual_seed(seed)
    part = setting.problem.test
    pictures = part.images[torch.multinomial(part.weights(setting.mixtures[0]), DRAWN, replacement=True)]
    read = read_shares(setting.judge, pictures, 2)
    requested = setting.mixtures[1:, RARE].tolist()
    weights = part.weights(setting.mixtures[1:])
    found = [
        read_shares(setting.judge, part.images[torch.multinomial(row, DRAWN, replacement=True)], 2).all[RARE].item()
        for row in weights
    ]
    return {
        "share": read.all[RARE].item(),
        "confident share": read.confident[RARE].item(),
        "unsure": read.unsure,
        "slope": slope(requested, found),
        "mean error": mean_error(requested, found),
        **{generated(share): value for share, value in zip(requested, found, strict=True)},
    }


def drawn_shares(view: View, mixture: int, setting: Setting) -> Tensor:
    return read_shares(setting.judge, view.draw(mixture, DRAWN), setting.mixtures.shape[1]).all


def by_group(view: View, mixture: int, setting: Setting) -> Tensor:
    """The mean loss of each group's test pictures: [groups]"""
    test = setting.problem.test
    losses = view.losses(mixture, test)
    return torch.stack([losses[test.labels == group].mean() for group in range(setting.mixtures.shape[1])])


def mixture_loss(view: View, setting: Setting) -> float:
    """The mean over the requested mixtures of the test loss at that mixture, under what is emitted for it."""
    rows = range(1, len(setting.mixtures))
    return sum((by_group(view, row, setting) * setting.mixtures[row]).sum().item() for row in rows) / len(rows)
