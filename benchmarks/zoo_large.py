"""A transformer of a billion weights, planned without its weights: on torch's meta device."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

import hypergen_compiler as hypergen
from benchmarks.target_gpt import GPT

__all__ = ["Large", "plan_large"]


@dataclass(frozen=True)
class Large:
    """What was planned for how many weights and tensors, and the seconds that it took, of processor time."""

    weights: int
    tensors: int
    head: str
    rank: int
    parameters: int
    seconds: float


def plan_large(width: int = 2048, depth: int = 20, heads: int = 16) -> Large:
    with torch.device("meta"):
        model = GPT(width=width, depth=depth, heads=heads)
    start = time.process_time()
    plan = hypergen.plan(model, torch.zeros(2, model.length, dtype=torch.long), sample=None)
    seconds = time.process_time() - start
    sizes = [parameter.numel() for parameter in model.parameters()]
    return Large(sum(sizes), len(sizes), plan.head, plan.rank, plan.parameters, seconds)
