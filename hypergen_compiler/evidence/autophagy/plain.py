"""Plain training of a compiled model's weights, several models side by side in one graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

__all__ = ["Training", "initial", "sampled", "trained_plainly"]

BATCH = 64


@dataclass(frozen=True)
class Training:
    """Steps and rate of plain training, with batches of BATCH."""

    steps: int
    lr: float


def initial(package: ModuleType, count: int) -> Tensor:
    """The weights that the model was compiled with, for `count` models: [count, SIZE]"""
    return package.weights.initial_weights().repeat(count, 1)


def trained_plainly(package: ModuleType, start: Tensor, *data: Tensor, training: Training) -> Tensor:
    """Weights [c, SIZE] after Adam from `start`, those of the i-th model trained on the i-th of each of `data`.

    `data` are what the loss takes, each [c, n, ...]. The models meet in no operation, so each is what training it alone
    would give.
    """
    flat = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([flat], lr=training.lr, fused=True)
    state = package.weights.State()
    models, items = torch.arange(len(start)).unsqueeze(1), data[0].shape[1]

    def loss(own: Tensor, *inputs: Tensor) -> Tensor:
        return package.model.loss(package.weights.unpack(own), state, *inputs, training=True).mean()

    together = torch.vmap(loss, randomness="different")
    for step in range(training.steps):
        factor = max(0.05, 0.5 + 0.5 * math.cos(math.pi * step / training.steps))
        optimizer.param_groups[0]["lr"] = training.lr * factor
        chosen = torch.randint(items, (len(start), BATCH))
        optimizer.zero_grad(set_to_none=True)
        together(flat, *(part[models, chosen] for part in data)).sum().backward()
        optimizer.step()
    return flat.detach()


@torch.no_grad()
def sampled(package: ModuleType, flat: Tensor, n: int) -> Tensor:
    """n draws from each of c models, [c, SIZE] -> [c, n, ...]"""
    state = package.weights.State()
    return torch.stack([package.model.sample(package.weights.unpack(own), state, n) for own in flat])
