"""Emission alone against the memory: the bytes that it must move, and how long they take, beside a plain copy."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.contenders import load_part
from benchmarks.steps import finished, time_pairs

__all__ = ["Emission", "copy_step", "emission_bytes", "measure_emission"]

COPIED = 2**26  # elements, far more than a cache holds


@dataclass(frozen=True)
class Emission:
    """GB/s of the fewest bytes that could be moved, in a forward pass and with its backward pass, and of a copy."""

    head: str
    weights: int
    parameters: int
    forward: float
    both: float
    copy: float
    forward_seconds: float
    both_seconds: float


def copy_step(elements: int = COPIED, device: torch.device | str = "cpu") -> Callable[[], None]:
    """A copy of so many floats, which reads and writes each once."""
    source, target = torch.ones(elements, device=device), torch.zeros(elements, device=device)

    def step() -> None:
        target.copy_(source)

    return step


def emission_bytes(parameters: int, constants: int, emitted: int) -> tuple[int, int]:
    """The fewest bytes of a forward pass, and of one with its backward pass.

    Forward reads what the hypernetwork holds and writes the buffer. Backward reads the buffer's gradient, reads the
    parameters again for the embedding's gradient, and writes theirs.
    """
    forward = 4 * (parameters + constants + emitted)
    return forward, forward + 4 * (emitted + constants + 2 * parameters)


def measure_emission(head: str, path: Path, seconds: float, device: torch.device | str = "cpu") -> Emission:
    """Of one embedding, by the package's own `emit`."""
    hypernetwork = load_part(path, "hypernetwork").Hypernetwork().to(device)
    weights = load_part(path, "weights")
    encoder = {id(tensor) for tensor in hypernetwork.encoder.parameters()}
    parameters = [tensor for tensor in hypernetwork.parameters() if id(tensor) not in encoder]
    embedding = hypernetwork.embed(torch.rand(2, 1000, device=device)).detach().requires_grad_()
    gradient = torch.ones(weights.SIZE, device=device)

    @torch.no_grad()
    def forward() -> None:
        hypernetwork.emit(embedding)

    def both() -> None:
        for tensor in (embedding, *parameters):
            tensor.grad = None
        hypernetwork.emit(embedding).backward(gradient)

    steps = {name: finished(step, embedding.device) for name, step in (("forward", forward), ("both", both))}
    times = time_pairs(finished(copy_step(device=device), embedding.device), steps, seconds)
    count = sum(tensor.numel() for tensor in parameters)
    constants = sum(tensor.numel() for tensor in hypernetwork.buffers() if tensor.numel() == weights.SIZE)
    least = dict(zip(("forward", "both"), emission_bytes(count, constants, weights.SIZE), strict=True))
    median = {name: statistics.median(found.own) for name, found in times.items()}
    copied = statistics.median(times["both"].plain)
    rates = {name: least[name] / median[name] / 1e9 for name in median}
    speeds = (rates["forward"], rates["both"], 8 * COPIED / copied / 1e9)
    return Emission(head, weights.SIZE, count, *speeds, median["forward"], median["both"])
