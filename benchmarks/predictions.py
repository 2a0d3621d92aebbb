"""Predicted against measured memory and time of a training step:  python -m benchmarks.predictions

A step is that of an emitted package without the penalty: 4 datasets of 64 items, gradients clipped, fused Adam. Memory
is what torch allocates for tensors, from its profiler; time is processor time on this machine, one thread.
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
from hypergen_compiler.design import Design, Request, alternatives, design
from hypergen_compiler.examples import ConvVAE, CouplingFlow, SmallGPT
from hypergen_compiler.plan.alternatives import Alternative
from hypergen_compiler.plan.encoder import POOLED
from hypergen_compiler.plan.step import ITEMS

__all__ = ["measured_peak", "step_of"]

HEADS = ("biases", "gains", "low-rank", "chunked")
ROUNDS, STEPS = 3, 5


def targets() -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Three sizes: a flow of a few thousand weights, a convolutional VAE and a GPT."""
    yield "coupling flow", CouplingFlow(), torch.randn(8, 2)
    yield "conv VAE", ConvVAE(side=32), torch.rand(8, 1, 32, 32)
    yield "GPT", SmallGPT(vocabulary=64, width=128), torch.randint(64, (8, 32))


def step_of(package: ModuleType, dataset: torch.Tensor):
    """A function that takes one step of the package's own training, and the bytes that it holds between steps."""
    settings = package.settings.Settings(steps=1, strength=0.0)
    run = package.training.Trainer(package.data.Data((dataset,), None), settings)

    def step() -> None:
        run.advance()
        run.optimizer.zero_grad(set_to_none=True)

    step()
    held = [*run.hypernetwork.parameters(), *run.hypernetwork.buffers(), *run.state.buffers()]
    held += [value for moments in run.optimizer.state.values() for value in moments.values()]
    held += list(run.averaged.parameters()) if run.averaged else []
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


def main() -> None:
    torch.set_num_threads(1)
    print("| model | weights | head | peak MB: predicted, measured, ratio | step ms: predicted, measured, ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, model, items) in enumerate(targets()):
            found = design(Request(model, items), "measured")
            for head in HEADS:
                package = f"measured_{number}_{head.replace('-', '_')}"
                loaded = hypergen.compile(model, items, out=Path(folder) / package, head=head).load()
                step, held = step_of(loaded, items.repeat(ITEMS // len(items), *[1] * (items.dim() - 1)))
                predicted, seconds = predicted_beside(found, head, step)
                peak = measured_peak(step, held)
                memory = f"{predicted.memory / 1e6:.2f}, {peak / 1e6:.2f}, {predicted.memory / peak:.2f}"
                times = f"{1e3 * predicted.seconds:.1f}, {1e3 * seconds:.1f}, {predicted.seconds / seconds:.2f}"
                print(f"| {name} | {found.layout.weights:,} | {head} | {memory} | {times} |")
                sys.stdout.flush()


def predicted_beside(found: Design, head: str, step) -> tuple[Alternative, float]:
    """The prediction in the middle of ROUNDS that the machine was measured for, and the median time of a step, all by
    turns and in processor time, which other work on the machine disturbs least."""
    predictions, times = [], []
    for _ in range(ROUNDS):
        rows = alternatives(found, clock=time.process_time)
        predictions.append(next(row for row in rows if row.head == head and row.rank in (16, POOLED)))
        for _ in range(STEPS):
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
    return sorted(predictions, key=lambda row: row.seconds)[ROUNDS // 2], statistics.median(times)


if __name__ == "__main__":
    main()
