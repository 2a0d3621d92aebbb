"""Predicted against measured memory and time of a training step:  python -m benchmarks.predictions

A step is that of an emitted package without the penalty: 4 datasets of 64 items, gradients clipped, fused Adam. Memory
is what torch allocates for tensors, from its profiler; time the median of a few steps on this machine, one thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import hypergen_compiler as hypergen
from hypergen_compiler.examples import ConvVAE, CouplingFlow, SmallGPT
from hypergen_compiler.pipeline import Request, design
from hypergen_compiler.plan.alternatives import weigh
from hypergen_compiler.plan.cost import EPISODES, ITEMS
from hypergen_compiler.plan.machine import measure

__all__ = ["measured_peak", "step_of"]

HEADS = ("low-rank", "chunked", "biases")
STEPS = 7


def targets() -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Three sizes: a flow of a few thousand weights, a convolutional VAE and a GPT."""
    yield "coupling flow", CouplingFlow(), torch.randn(8, 2)
    yield "conv VAE", ConvVAE(side=32), torch.rand(8, 1, 32, 32)
    yield "GPT", SmallGPT(vocabulary=64, width=128), torch.randint(64, (8, 32))


def step_of(package: ModuleType, dataset: torch.Tensor):
    """A function that takes one training step, and everything that it holds between steps."""
    hypernetwork, state = package.hypernetwork.Hypernetwork(), package.weights.State()
    optimizer, clip = package.optimizer.make_optimizer(hypernetwork, 1e-3), package.optimizer.RelativeClip()

    def step() -> None:
        terms = package.objective.objective(hypernetwork, state, *[dataset] * EPISODES, strength=0)
        optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        clip(optimizer)
        optimizer.step()

    step()
    optimizer.zero_grad(set_to_none=True)
    held = [*hypernetwork.parameters(), *hypernetwork.buffers(), *state.buffers()]
    held += [value for moments in optimizer.state.values() for value in moments.values()]
    return step, sum(tensor.nbytes for tensor in held)


def measured_peak(step, held: int) -> int:
    """Bytes at the peak of a step: those held before it, and the most that were allocated and not yet freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        step()
    events = [event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return held + peak


def median_seconds(step) -> float:
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    print("| model | weights | head | peak MB: predicted, measured, ratio | step ms: predicted, measured, ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, model, items) in enumerate(targets()):
            found = design(Request(model, items), "measured")
            machine = measure(model, next(point for point in found.points if point.name == "loss"))
            for head in HEADS:
                package = f"measured_{number}_{head.replace('-', '_')}"
                loaded = hypergen.compile(model, items, out=Path(folder) / package, head=head).load()
                step, held = step_of(loaded, items.repeat(ITEMS // len(items), *[1] * (items.dim() - 1)))
                rows = weigh(found.program, found.layout, found.plan, machine)
                predicted = next(row for row in rows if (row.head, row.rank) == (head, 16))
                peak, seconds = measured_peak(step, held), median_seconds(step)
                memory = f"{predicted.memory / 1e6:.2f}, {peak / 1e6:.2f}, {predicted.memory / peak:.2f}"
                times = f"{1e3 * predicted.seconds:.1f}, {1e3 * seconds:.1f}, {predicted.seconds / seconds:.2f}"
                print(f"| {name} | {found.layout.weights:,} | {head} | {memory} | {times} |")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
