"""The contestants of a seed, each trained when its turn comes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from hypergen_compiler.api import compile as compile_model
from hypergen_compiler.evidence.autophagy.chains import Regenerate
from hypergen_compiler.evidence.autophagy.contestants import Continued, by_groups, emitted, resampled, retrained
from hypergen_compiler.evidence.autophagy.plain import Training, initial, trained_plainly
from hypergen_compiler.evidence.autophagy.setting import ITEMS, Scale, Split
from hypergen_compiler.evidence.autophagy.statistics import CHAINED, HYPERNETWORK, PENALISED
from hypergen_compiler.evidence.group_classifier import fitted
from hypergen_compiler.evidence.models.noisy_vae import ConditionalNoisyVAE, NoisyVAE
from hypergen_compiler.evidence.packages import compiled, trained, usual

__all__ = ["PARTS", "usual_of"]

RATES = (1e-3, 3e-3, 1e-2)
LENGTHENED = 4  # times the usual steps, for a model that is trained once and on all real data

Contestant = tuple[str, Regenerate, dict[str, Any]]  # its name, what it does, and how it was trained


def plain_contestants(stack: ExitStack, data: Split, scale: Scale, seed: int) -> Iterator[Contestant]:
    yield "resampling", resampled, {}
    pictures, labels = data.learn
    side = pictures.shape[-1]
    plain = vae(stack, side, seed, "none")
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


def hypernetworks(stack: ExitStack, data: Split, scale: Scale, seed: int) -> Iterator[Contestant]:
    pictures, labels = data.learn
    for name, penalty in ((HYPERNETWORK, "none"), (PENALISED, "unbiased"), (CHAINED, "chains")):
        package = vae(stack, pictures.shape[-1], seed, penalty)
        settings = {"steps": scale.hypernetwork_steps, "seed": seed}
        run = trained(package, (pictures,), labels, **settings)
        yield name, emitted(run), usual(package) | settings


def vae(stack: ExitStack, side: int, seed: int, penalty: str) -> ModuleType:
    """The package of a seed's model, whose initialization is the same under every penalty."""
    torch.manual_seed(seed)
    return stack.enter_context(compiled(NoisyVAE(side), lambda n: (torch.rand(n, 1, side, side),), penalty=penalty))


def usual_of(side: int) -> dict[str, Any]:
    """The head and the settings that the model's package comes with."""
    with ExitStack() as stack:
        return usual(vae(stack, side, 0, "unbiased"))


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


PARTS = {"plain": plain_contestants, "hypernetworks": hypernetworks}
