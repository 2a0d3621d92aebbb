"""One seed of the experiment `autophagy`: what becomes of models that learn from what they generated.

Plain models are trained anew on every generation. A hypernetwork, trained once over mixtures of the real data, reads a
generation and emits the weights for it. What happens to both is compared with what sampling alone does.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from hypergen_compiler.evidence.autophagy.chains import Case, cases, chain, drawn
from hypergen_compiler.evidence.autophagy.field import PARTS
from hypergen_compiler.evidence.autophagy.setting import ITEMS, Scale, Split, split
from hypergen_compiler.evidence.group_classifier import GroupClassifier, fitted
from hypergen_compiler.evidence.metrics import diversity, frechet, precision, recall, shares, total_variation

__all__ = ["measured_seed"]


def measured_seed(pictures: Tensor, labels: Tensor, scale: Scale, seed: int, part: str) -> dict[str, Any]:
    """The chains of a part of the contestants from one split of the data: rows of measures by generation, and how each
    was trained."""
    torch.set_num_threads(1)
    data = split(pictures, labels, seed)
    found = cases(data.groups, heavy=(6, 1, 3, 8)[seed % 4] % data.groups)
    judge = fitted(*data.judge, data.groups, seed=seed)
    rows, settings = [], {}
    with ExitStack() as stack:
        for name, contestant, how in PARTS[part](stack, data, scale, seed):
            torch.manual_seed(1_000_000 + seed)
            settings[name] = how
            runs = chain(contestant, found, lambda case: draw(data, case), scale.generations)
            rows += [row(name, case, run, data, judge) for case, run in zip(found, runs, strict=True)]
    accuracy = (judge.groups(data.learn[0]) == data.learn[1]).double().mean().item()
    return {"classifier": accuracy, "settings": settings, "chains": rows}


def draw(data: Split, case: Case) -> Tensor:
    pictures, labels = data.learn
    return pictures[drawn(labels, case.shares, ITEMS)]


def row(name: str, case: Case, run: list[Tensor], data: Split, judge: GroupClassifier) -> dict[str, Any]:
    """The measures of a chain by generation; shares of the groups in order, the heavy one first."""
    pictures, labels = data.judge
    real, weights = judge.features(pictures), (case.shares / torch.bincount(labels, minlength=data.groups))[labels]
    rows = []
    for generated in run:
        features = judge.features(generated)
        found = shares(judge.out(features).argmax(1), data.groups)
        rows.append(
            {
                "frechet": frechet(real, features, weights),
                "precision": precision(real, features),
                "recall": recall(real, features, weights),
                "diversity": diversity(features),
                "drift": total_variation(found, case.shares),
                "heavy": found[case.heavy].item(),
                "shares": [found[case.heavy].item(), *found[torch.arange(len(found)) != case.heavy].tolist()],
            }
        )
    columns = {measure: [row[measure] for row in rows] for measure in rows[0]}
    return {"contestant": name, "form": case.form, "start": case.start, **columns}
