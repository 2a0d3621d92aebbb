"""What the heads are compared on: a model, and pictures of digits divided into those to train on and those held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.demo.data import Pictures, digits, read_pictures, split
from hypergen_compiler.evidence import measures
from hypergen_compiler.examples import ConvVAE
from hypergen_compiler.recipes.pythae import Pythae

__all__ = ["PICTURES", "TASKS", "Digits", "Task", "share_slope"]

PICTURES = 128  # of a step
MIXTURES, SAMPLES = 24, 256
MNIST = 4000  # digits of the file, those held out included


@dataclass(frozen=True)
class Digits:
    """Pictures [n, 1, side, side] between 0 and 1 and their labels [n], and pictures that nobody trains on: those by
    which choices are made, and those by which the outcome is told."""

    images: Tensor
    labels: Tensor
    validation: Tensor
    test: Tensor

    @cached_property
    def classifier(self) -> nn.Linear:
        """Logistic regression from pixels to logits of the ten digits."""
        linear, pixels = nn.Linear(self.images[0].numel(), 10), self.images.flatten(1)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def misfit() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(linear(pixels), self.labels) + 1e-4 * linear.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(misfit)
        return linear.requires_grad_(False)


@dataclass(frozen=True)
class Task:
    """`loss(model, images)` and `sample(model, n)` are the model's own, as its package has them; trainings take `steps`
    steps on PICTURES pictures. `read` takes the file with MNIST."""

    title: str
    steps: int
    heads: tuple[str, ...]
    make: Callable[[], nn.Module]
    loss: Callable[[Any, Tensor], Tensor]
    sample: Callable[[Any, int], Tensor]
    read: Callable[[Path | None], Digits]


def pythae_model() -> nn.Module:
    from benchmarks.target_pythae import pythae_vae

    return pythae_vae()


def bundled_digits(_: Path | None) -> Digits:
    return divided(digits())


def mnist_digits(path: Path) -> Digits:
    pictures = read_pictures(path)
    return divided(pictures.rows(np.arange(MNIST)))


def divided(pictures: Pictures) -> Digits:
    trained, held_out = split(pictures)
    unseen = held_out.tensor()
    return Digits(trained.tensor(), torch.from_numpy(trained.labels).long(), unseen[::2], unseen[1::2])


TASKS = {
    "digits": Task(
        "The bundled VAE on scikit-learn's digits of 8 x 8 pixels",
        1000,
        ("biases", "gains", "low-rank", "factors", "chunked", "dense", "base"),
        ConvVAE,
        lambda model, x: model.loss(x),
        lambda model, n: model.sample(n),
        bundled_digits,
    ),
    "mnist": Task(
        "pythae's convolutional VAE, 8 channels wide, on 3,334 digits of MNIST",
        500,
        ("biases", "gains", "low-rank"),
        pythae_model,
        Pythae().loss,
        Pythae().sample,
        mnist_digits,
    ),
}


def share_slope(digits: Digits, sample: Callable[[Tensor, int], Tensor]) -> float:
    """The slope of generated class shares over those of the datasets that weights were emitted for.

    Datasets are MIXTURES random mixtures of the classes (Dirichlet .3); a classifier of real digits counts what
    `sample(dataset, n)` draws.
    """
    generator = torch.Generator().manual_seed(5)
    rows = [torch.where(digits.labels == one)[0] for one in range(10)]
    given, made = [], []
    for _ in range(MIXTURES):
        shares = torch._sample_dirichlet(torch.full((10,), 0.3), generator=generator)
        classes = torch.multinomial(shares, SAMPLES, replacement=True, generator=generator)
        picked = [rows[one][torch.randint(len(rows[one]), (), generator=generator)] for one in classes.tolist()]
        samples = sample(digits.images[torch.stack(picked)], SAMPLES).clamp(0, 1).flatten(1)
        given.append(torch.bincount(classes, minlength=10) / SAMPLES)
        made.append(torch.bincount(digits.classifier(samples).argmax(1), minlength=10) / SAMPLES)
    return measures.share_slope(torch.stack(given), torch.stack(made))
