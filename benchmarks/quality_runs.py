"""Trainings that are compared, and how many steps of the plain model one step of a head takes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.quality_tasks import PICTURES, Digits, Task, share_slope
from benchmarks.steps import ratio, time_pairs
from hypergen_compiler.publishing.package import import_package

__all__ = ["Run", "step_ratio", "train_head", "train_plain", "training"]

DRAWS = 20  # of a held-out loss, which is random


@dataclass(frozen=True)
class Run:
    """One training: the losses in nats per picture of the validation and of the test data, and how generated class
    shares follow given ones (1 is exactly, 0 not at all)."""

    validation: float
    loss: float
    slope: float


def train_plain(task: Task, digits: Digits, steps: int, rate: float, seed: int) -> Run:
    """The model itself, on minibatches of all items of a step, with the learning rate falling by a cosine."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = task.make()
    step = plain_step(task, digits, model, steps, rate)
    for _ in range(steps):
        step()
    model.eval()
    with torch.no_grad():
        return measured(
            digits,
            lambda images: task.loss(model, images),
            lambda dataset, n: task.sample(model, n),
        )


def measured(digits: Digits, loss: Callable[[Tensor], Tensor], sample: Callable[[Tensor, int], Tensor]) -> Run:
    losses = [
        statistics.mean(loss(images).mean().item() for _ in range(DRAWS)) for images in (digits.validation, digits.test)
    ]
    return Run(*losses, share_slope(digits, sample))


def plain_step(task: Task, digits: Digits, model: nn.Module, steps: int, rate: float) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    images, done = digits.images, 0

    def step() -> None:
        nonlocal done
        for group in optimizer.param_groups:
            group["lr"] = rate * max(0.05, 0.5 + 0.5 * math.cos(math.pi * done / steps))
        rows = torch.randint(len(images), (PICTURES,))
        optimizer.zero_grad(set_to_none=True)
        task.loss(model, images[rows]).backward()
        optimizer.step()
        done += 1

    return step


def train_head(task: Task, digits: Digits, folder: Path, rate: float, seed: int, without: Collection[str] = ()) -> Run:
    """A compiled package by its own training loop, with its own settings but for steps, pictures and learning rate,
    and for the parts of the method that it goes `without`: "penalty", "mixtures"."""
    torch.set_num_threads(1)
    package = import_package(folder, folder.name)
    run = training(digits, package, task.steps, rate, seed, without)
    while run.step < task.steps:
        run.advance()
    hypernetwork = (run.averaged or run.hypernetwork).eval()

    def emitted(dataset: Tensor) -> object:
        return package.weights.unpack(hypernetwork((dataset,)))

    with torch.no_grad():
        weights = emitted(digits.images)
        return measured(
            digits,
            lambda images: package.model.loss(weights, run.state, images),
            lambda dataset, n: package.model.sample(emitted(dataset), run.state, n),
        )


def training(digits: Digits, package: ModuleType, steps: int, rate: float, seed: int, without: Collection[str] = ()):
    usual = package.training.Settings()
    strength = 0.0 if "penalty" in without else usual.strength
    settings = usual._replace(steps=steps, batch=PICTURES // usual.episodes, lr=rate, seed=seed, strength=strength)
    labels = torch.zeros_like(digits.labels) if "mixtures" in without else digits.labels
    return package.training.Trainer(package.data.Data((digits.images,), labels), settings)


def step_ratio(task: Task, digits: Digits, seconds: float, folder: Path) -> float:
    """How many plain steps a step of a package's training takes, the penalty included: the median of pairs of turns, in
    processor time, which other work on the machine disturbs least."""
    torch.set_num_threads(1)
    run = training(digits, import_package(folder, folder.name), steps=8, rate=1e-3, seed=0)
    while run.step < 8:  # past the warm-up, in which the head rests
        run.advance()
    times = time_pairs(
        plain_step(task, digits, task.make(), 8, 1e-4),
        {"own": lambda: run.advance() and None},
        seconds,
        time.process_time,
    )
    return ratio(times["own"]).median
