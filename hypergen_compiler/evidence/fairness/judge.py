"""The judge of generated pictures: a small classifier of real ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.evidence.groups import Part

__all__ = ["classifier"]

STEPS, BATCH, RATE = 500, 128, 2e-3
NOISE = 0.1  # of the pixels: what is drawn is less clean than what is real


def classifier(part: Part, groups: int, seed: int = 0) -> nn.Module:
    """Pictures to logits of the groups, trained with as many pictures of each group, half of them blurred.

    Autoencoders draw soft pictures; a judge of sharp ones alone would be a poor one of them.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        side = (part.images.shape[-1] + 1) // 2
        judge = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * side * side, 64),
            nn.ReLU(),
            nn.Linear(64, groups),
        )
        optimizer = torch.optim.Adam(judge.parameters(), RATE, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        weights = part.weights(torch.full((groups,), 1 / groups))
        for _ in range(STEPS):
            batch = part.rows(torch.multinomial(weights, BATCH, replacement=True))
            loss = F.cross_entropy(judge(distorted(batch.images)), batch.labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval().requires_grad_(False)


def distorted(images: Tensor) -> Tensor:
    """With noise, and about half of them blurred where there are pixels enough that something is left to see."""
    noisy = images + NOISE * torch.randn_like(images)
    if images.shape[-1] <= 8:
        return noisy
    blurred = F.avg_pool2d(noisy, 3, stride=1, padding=1) * 1.2
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, blurred, noisy)
