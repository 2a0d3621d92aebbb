"""What becomes of the groups, and of quality, where a model learns from its own samples for a few generations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hypergen_compiler.audit.features import Judge
from hypergen_compiler.audit.items import Items
from hypergen_compiler.audit.report import Forecast, Group
from hypergen_compiler.audit.subject import Reader
from hypergen_compiler.evidence.metrics import frechet, shares, total_variation

__all__ = ["extrapolated", "forecast"]

GENERATIONS, CHAINS = 8, 3
ITEMS = 1024  # of a generation, or as many as there are data


def forecast(reader: Reader, items: Items, held: Items, by: Judge) -> Forecast:
    """The mean of CHAINS chains without real data, each generation emitted in one pass from the last one's samples."""
    assert by.groups is not None
    n, real, count = min(ITEMS, len(items)), by.features(held.inputs[0]), len(items.groups)
    found: list[list[Tensor]] = []
    plain: list[list[Tensor]] = []
    for _ in range(CHAINS):
        start = items.inputs[0][torch.randperm(len(items))[:n]]
        data, copies = [start], [start]
        for _ in range(GENERATIONS):
            data.append(reader.sample(reader.emit((data[-1],)), n))
            copies.append(copies[-1][torch.randint(n, (n,))])
        found.append([measured(x, real, by, count) for x in data])
        plain.append([measured(x, real, by, count) for x in copies])
    own, sampling = (torch.stack([torch.stack(chain) for chain in chains]).mean(0) for chains in (found, plain))
    return Forecast(
        extrapolated=False,
        shares=tuple(tuple(row) for row in own[:, 1:].tolist()),
        drift=drifts(found),
        drift_of_sampling=drifts(plain),
        frechet=tuple(own[:, 0].tolist()),
        frechet_of_sampling=tuple(sampling[:, 0].tolist()),
    )


def measured(x: Tensor, real: Tensor, by: Judge, count: int) -> Tensor:
    """Fréchet distance and shares, [1 + groups]"""
    assert by.groups is not None
    return torch.cat([torch.tensor([frechet(real, by.features(x))], dtype=torch.float64), shares(by.groups(x), count)])


def drifts(chains: Sequence[Sequence[Tensor]]) -> tuple[float, ...]:
    """The mean over chains of how far the shares are from those at the chain's start."""
    generations = zip(*chains, strict=True)
    starts = [chain[0][1:] for chain in chains]
    return tuple(
        sum(total_variation(row[1:], start) for row, start in zip(rows, starts, strict=True)) / len(starts)
        for rows in generations
    )


def extrapolated(groups: Sequence[Group]) -> Forecast:
    """As if each generation multiplied the shares by what the present one did: what of a group is generated, over what
    is read in real data."""
    kept = torch.tensor([group.kept for group in groups], dtype=torch.float64)
    now = torch.tensor([group.given for group in groups], dtype=torch.float64)
    rows = [now]
    for _ in range(GENERATIONS):
        now = now * kept
        now = now / now.sum().clamp_min(1e-12)
        rows.append(now)
    drift = tuple(total_variation(row, rows[0]) for row in rows)
    return Forecast(True, tuple(tuple(row.tolist()) for row in rows), drift, (), (), ())
