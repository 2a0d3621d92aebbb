"""The audit itself: shares, coverage and loss of the groups, and how emitted weights follow the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hypergen_compiler.audit.features import Judge, judge, parted
from hypergen_compiler.audit.forecast import extrapolated, forecast
from hypergen_compiler.audit.items import Items
from hypergen_compiler.audit.report import Audit, Following, Group, Quality
from hypergen_compiler.audit.subject import Reader, Subject
from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.evidence.autophagy.chains import drawn
from hypergen_compiler.evidence.measures import share_slope
from hypergen_compiler.evidence.metrics import covered, diversity, frechet, precision, recall, shares

__all__ = ["audited"]

SAMPLED = 2000
MIXTURES, ROWS, CONCENTRATION = 24, 512, 0.3
CHUNK = 512  # items of a call of the loss


@torch.no_grad()
def audited(subject: Subject, items: Items, progress: Progress, *, seed: int = 0) -> Audit:
    """Raises HG702 where what is generated is not finite."""
    torch.manual_seed(seed)
    learn, held = parted(items, seed)
    progress("training a classifier of the groups" if items.groups else "finding features of the data")
    with torch.enable_grad():
        by = judge(learn, held, seed)
    progress("sampling")
    generated = subject.sample(SAMPLED)
    if not generated.isfinite().all():
        raise HyperGenError(
            "HG702",
            f"{subject.name} generates values that are not finite",
            remedy="Train it anew, with a smaller rate.",
        )
    size = min(len(generated), len(learn))
    real, other, own = (by.features(x) for x in (held.inputs[0], learn.inputs[0][:size], generated[:size]))
    groups = by_group(subject, items, held, by, generated, (real, other, own)) if by.groups else ()
    following = future = None
    if by.groups and subject.reader is not None and len(items.inputs) == 1:
        progress("reading mixtures of the groups")
        following = followed(subject.reader, items, by)
        progress("generations that learn from samples")
        future = forecast(subject.reader, items, held, by)
    elif groups:
        future = extrapolated(groups)
    return Audit(
        name=subject.name,
        kind=subject.kind,
        items=len(items),
        sampled=len(generated),
        classifier=by.accuracy,
        loss=None if subject.loss is None else mean_loss(subject, items),
        quality=quality(real, own),
        quality_of_real=quality(real, other),
        groups=groups,
        following=following,
        forecast=future,
    )


def quality(real: Tensor, own: Tensor) -> Quality:
    return Quality(frechet(real, own), precision(real, own), recall(real, own), diversity(own))


def mean_loss(subject: Subject, items: Items) -> float:
    assert subject.loss is not None
    total = 0.0
    for chosen in torch.arange(len(items)).split(CHUNK):
        total += subject.loss(*items.rows(chosen).inputs).double().mean().item() * len(chosen)
    return total / len(items)


def by_group(
    subject: Subject, items: Items, held: Items, by: Judge, generated: Tensor, features: tuple[Tensor, Tensor, Tensor]
) -> tuple[Group, ...]:
    """A row for each group; `features` are those of held-out items, of others, and of as many generated ones."""
    assert by.groups is not None and items.labels is not None
    real, other, own = features
    count = len(items.groups)
    given, read = items.shares().tolist(), shares(by.groups(held.inputs[0]), count).tolist()
    found = shares(by.groups(generated), count).tolist()
    among_own, among_real = covered(real, own).double(), covered(real, other).double()
    rows = []
    for place, name in enumerate(items.groups):
        own_items = items.rows(items.labels == place)
        judged = held.labels == place
        rows.append(
            Group(
                name=name,
                given=given[place],
                read=read[place],
                generated=found[place],
                generated_error=math.sqrt(found[place] * (1 - found[place]) / len(generated)),
                coverage=among_own[judged].mean().item(),
                coverage_of_real=among_real[judged].mean().item(),
                loss=None if subject.loss is None else mean_loss(subject, own_items),
            )
        )
    return tuple(rows)


def followed(reader: Reader, items: Items, by: Judge) -> Following:
    """Datasets at random mixtures of the groups, and what is generated from each."""
    assert by.groups is not None and items.labels is not None
    count = len(items.groups)
    mixtures = torch.distributions.Dirichlet(torch.full((count,), CONCENTRATION)).sample((MIXTURES,)).double()
    given, read, made, flats = [], [], [], []
    for mixture in mixtures:
        dataset = items.rows(drawn(items.labels, mixture, ROWS))
        flats.append(reader.emit(dataset.inputs))
        given.append(dataset.shares())
        read.append(shares(by.groups(dataset.inputs[0]), count))
        made.append(shares(by.groups(reader.sample(flats[-1], ROWS)), count))
    x, y, z = torch.stack(given), torch.stack(made), torch.stack(read)
    pairs = zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)
    weights = torch.stack(flats).double()
    variation = (weights.var(0).mean().sqrt() / weights.mean(0).square().mean().sqrt().clamp_min(1e-12)).item()
    return Following(share_slope(x, y), share_slope(x, z), (x - y).abs().mean().item(), variation, tuple(pairs))
