"""The experiment `autophagy`: what becomes of models that learn from what they generated, generation by generation.

Plain models are trained anew on every generation. A hypernetwork, trained once over mixtures of the real data, reads a
generation and emits the weights for it. What happens to both is compared with what sampling alone does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from hypergen_compiler.api import compile as compile_model
from hypergen_compiler.evidence.autophagy.chains import Case, Regenerate, cases, chain, drawn
from hypergen_compiler.evidence.autophagy.contestants import Continued, by_groups, emitted, resampled, retrained
from hypergen_compiler.evidence.autophagy.noisy_vae import ConditionalNoisyVAE, NoisyVAE
from hypergen_compiler.evidence.autophagy.plain import Training, initial, trained_plainly
from hypergen_compiler.evidence.group_classifier import GroupClassifier, fitted
from hypergen_compiler.evidence.metrics import diversity, frechet, precision, recall, shares, total_variation
from hypergen_compiler.evidence.packages import compiled, trained

__all__ = ["FULL", "QUICK", "Scale", "Split", "measured_seed", "split"]

PENALTIES = ("none", "unbiased")
RATES = (1e-3, 3e-3, 1e-2)
ITEMS = 512  # in a generation's data
LENGTHENED = 4  # times the usual steps, for a model that is trained once and on all real data


@dataclass(frozen=True)
class Scale:
    """How much is run: generations of a chain, steps of training, and lengths of plain training to choose from."""

    generations: int
    hypernetwork_steps: int
    plain_steps: tuple[int, ...]
    seeds: tuple[int, ...]


FULL = Scale(20, 4000, (400, 1000, 2000), (0, 1, 2, 3, 4))
QUICK = Scale(5, 800, (400,), (0, 1))


@dataclass(frozen=True)
class Split:
    """Real pictures [n, 1, side, side] and their groups [n]: to learn from, to choose by, and to judge by."""

    learn: tuple[Tensor, Tensor]
    choose: tuple[Tensor, Tensor]
    judge: tuple[Tensor, Tensor]
    groups: int


def split(pictures: Tensor, labels: Tensor, seed: int) -> Split:
    """A third is for judging and a tenth for choosing, others for every seed."""
    labels = torch.unique(labels, return_inverse=True)[1]
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    judge, choose = len(order) // 3, len(order) // 10
    parts = order.split([judge, choose, len(order) - judge - choose])
    judged, chosen, learned = ((pictures[part], labels[part]) for part in parts)
    return Split(learned, chosen, judged, int(labels.max()) + 1)


def measured_seed(pictures: Tensor, labels: Tensor, scale: Scale, seed: int) -> dict[str, Any]:
    """Every contestant's chains from one split of the data: rows of measures by generation, and how it was trained."""
    torch.set_num_threads(1)
    data = split(pictures, labels, seed)
    torch.manual_seed(seed)
    found = cases(data.groups, heavy=(6, 1, 3, 8)[seed % 4] % data.groups)
    judge = fitted(*data.judge, data.groups, seed=seed)
    rows, settings = [], {}
    with ExitStack() as stack:
        for name, contestant, how in contestants(stack, data, scale, seed):
            torch.manual_seed(1_000_000 + seed)
            settings[name] = how
            runs = chain(contestant, found, lambda case: draw(data, case), scale.generations)
            rows += [row(name, case, run, data, judge) for case, run in zip(found, runs, strict=True)]
    accuracy = (judge.groups(data.learn[0]) == data.learn[1]).double().mean().item()
    return {"seed": seed, "classifier": accuracy, "settings": settings, "chains": rows}


def draw(data: Split, case: Case) -> Tensor:
    pictures, labels = data.learn
    return pictures[drawn(labels, case.shares, ITEMS)]


def contestants(
    stack: ExitStack, data: Split, scale: Scale, seed: int
) -> Iterator[tuple[str, Regenerate, dict[str, Any]]]:
    """Name, contestant, and how it was trained, one after the other: each is trained when its turn comes."""
    yield "resampling", resampled, {}
    pictures, labels = data.learn
    side = pictures.shape[-1]
    torch.manual_seed(seed)
    packages = {
        name: stack.enter_context(compiled(NoisyVAE(side), lambda n: (torch.rand(n, 1, side, side),), penalty=name))
        for name in PENALTIES
    }
    plain = packages["none"]
    training = chosen(plain, data, scale)
    how = {"steps": training.steps, "lr": training.lr}
    yield "plain, retrained", retrained(plain, training), how

    long = Training(LENGTHENED * training.steps, training.lr)
    start = trained_plainly(plain, initial(plain, 1), pictures.unsqueeze(0), training=long)[0]
    short = Training(max(1, training.steps // 4), training.lr / 3)
    how = {"steps_at_first": long.steps, "steps": short.steps, "lr": short.lr}
    yield "plain, continued", Continued(plain, start, short), how

    conditional = stack.enter_context(conditional_package(side, data.groups))
    flat = trained_plainly(
        conditional, initial(conditional, 1), pictures.unsqueeze(0), labels.unsqueeze(0), training=long
    )[0]
    reader = fitted(pictures, labels, data.groups, seed=seed)
    yield "class-conditional", by_groups(conditional, flat, reader, data.groups), {"steps": long.steps, "lr": long.lr}

    for penalty, package in packages.items():
        run = trained(package, (pictures,), labels, steps=scale.hypernetwork_steps, seed=seed)
        name = "hypernetwork" if penalty == "none" else f"hypernetwork, penalty {penalty}"
        yield name, emitted(run), {"steps": scale.hypernetwork_steps, **package.train.Settings()._asdict()}


@contextmanager
def conditional_package(side: int, groups: int) -> Iterator[ModuleType]:
    with tempfile.TemporaryDirectory(prefix="hypergen-") as folder:
        package = compile_model(
            ConditionalNoisyVAE(side, groups),
            lambda n: (torch.rand(n, 1, side, side), torch.arange(n) % groups),
            out=Path(folder) / "conditional_vae",
            sample=None,
            entries={"sample_of": ("sample_of", lambda n: (torch.arange(n) % groups,))},
        )
        yield package.load()


def chosen(package: ModuleType, data: Split, scale: Scale) -> Training:
    """The length and rate of plain training with the lowest loss on data that were held out, of as many items as a
    generation has."""
    options = [Training(steps, lr) for steps in scale.plain_steps for lr in RATES]
    pictures = data.learn[0][torch.randperm(len(data.learn[0]))[:ITEMS]].unsqueeze(0)
    losses = []
    for training in options:
        flat = trained_plainly(package, initial(package, 1), pictures, training=training)[0]
        with torch.no_grad():
            weights, state = package.weights.unpack(flat), package.weights.State()
            losses.append(package.model.loss(weights, state, data.choose[0]).mean().item())
    return options[losses.index(min(losses))]


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
