"""Self-consuming chains: what a generation generates is what the next one learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FORMS", "STARTS", "Case", "Regenerate", "cases", "chain", "drawn", "next_data"]

FORMS = ("synthetic", "with fixed real data", "with fresh real data")  # arXiv 2307.01850
STARTS = ("balanced", "imbalanced")
HEAVY = 0.5  # the share of one group in an imbalanced start

Regenerate = Callable[[Tensor], Tensor]  # datasets [c, n, ...] to as many items generated for each


@dataclass(frozen=True)
class Case:
    """A form of self-consumption and a start: the shares of the groups in real data, [groups].

    `heavy` is the group that has more than the others in an imbalanced start.
    """

    form: str
    start: str
    shares: Tensor
    heavy: int


def cases(groups: int, heavy: int) -> list[Case]:
    """Every form from a balanced start, and from one in which the group `heavy` has a share of HEAVY."""
    balanced = torch.full((groups,), 1 / groups)
    imbalanced = torch.full((groups,), (1 - HEAVY) / (groups - 1))
    imbalanced[heavy] = HEAVY
    starts = dict(zip(STARTS, (balanced, imbalanced), strict=True))
    return [Case(form, start, shares, heavy) for start, shares in starts.items() for form in FORMS]


def drawn(labels: Tensor, shares: Tensor, n: int) -> Tensor:
    """The places of n items whose groups have these shares, as near as whole items allow: with replacement, in a
    random order."""
    counts = (shares * n).floor().long()
    rest = (shares * n - counts).argsort(descending=True)[: n - int(counts.sum())]
    counts[rest] += 1
    places = [(labels == group).nonzero().squeeze(1) for group in range(len(shares))]
    chosen = [own[torch.randint(len(own), (int(count),))] for own, count in zip(places, counts, strict=True) if count]
    return torch.cat(chosen)[torch.randperm(n)]


def chain(
    regenerate: Regenerate, cases: Sequence[Case], real: Callable[[Case], Tensor], generations: int
) -> list[list[Tensor]]:
    """For every case its datasets by generation: real ones, then what was generated, without the real items that
    were mixed in for the next generation. `real(case)` draws real data [n, ...]."""
    fixed = [real(case) for case in cases]
    seen = [[dataset] for dataset in fixed]
    data = torch.stack(fixed)
    for _ in range(generations):
        synthetic = regenerate(data)
        for row, dataset in zip(seen, synthetic, strict=True):
            row.append(dataset)
        others = [real(case) if case.form == FORMS[2] else own for case, own in zip(cases, fixed, strict=True)]
        mixed = [next_data(c.form, *pair) for c, *pair in zip(cases, synthetic, others, strict=True)]
        data = torch.stack(mixed)
    return seen


def next_data(form: str, synthetic: Tensor, real: Tensor) -> Tensor:
    """What the next generation reads, as many items [n, ...] as before: all synthetic, or half of them real."""
    if form == FORMS[0]:
        return synthetic
    half = len(synthetic) // 2
    return torch.cat([real[:half], synthetic[: len(synthetic) - half]])
