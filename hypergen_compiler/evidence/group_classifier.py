"""A small classifier of groups, which tells what was generated and in whose features quality is measured."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FEATURES", "GroupClassifier", "fitted"]

FEATURES, HIDDEN, EMBEDDED = 32, 128, 16
BATCH, LR, NOISE = 64, 2e-3, 0.3


class GroupClassifier(nn.Module):
    """Items [n, ...] of numbers, or of whole numbers such as tokens, to logits [n, groups]."""

    center: Tensor
    spread: Tensor

    def __init__(self, example: Tensor, groups: int):
        super().__init__()
        size = example[0].numel()
        self.tokens = None if example.is_floating_point() else nn.Embedding(int(example.max()) + 1, EMBEDDED)
        self.register_buffer("center", example.float().flatten(1).mean(0))
        self.register_buffer("spread", example.float().std().clamp_min(1e-6))
        read = size if self.tokens is None else size * EMBEDDED
        self.body = nn.Sequential(nn.Linear(read, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, FEATURES), nn.SiLU())
        self.out = nn.Linear(FEATURES, groups)

    def read(self, x: Tensor) -> Tensor:
        """[n, ...] -> [n, numbers]; tokens that no example held read as the last one that did"""
        if self.tokens is None:
            return (x.flatten(1) - self.center) / self.spread
        return self.tokens(x.flatten(1).clamp(0, self.tokens.num_embeddings - 1)).flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """[n, ...] -> [n, FEATURES]"""
        return self.body(self.read(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))

    @torch.no_grad()
    def groups(self, x: Tensor) -> Tensor:
        """The most likely group of each item, [n]"""
        return self(x).argmax(1)


def fitted(x: Tensor, labels: Tensor, groups: int, *, seed: int, steps: int = 1500) -> GroupClassifier:
    """A classifier of items x [n, ...], whose labels [n] are whole numbers below `groups`.

    Every group is drawn equally often, and with noise, so that a rare one is known and generated items are judged by
    more than their sharpest pixel. torch's generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GroupClassifier(x, groups)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
        chances = 1 / torch.bincount(labels, minlength=groups).clamp_min(1)[labels].double()
        for _ in range(steps):
            chosen = torch.multinomial(chances, BATCH, replacement=True)
            read = model.read(x[chosen])
            logits = model.out(model.body(read + NOISE * torch.randn_like(read)))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits, labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    return model.eval().requires_grad_(False)
