"""What this machine does in a second: measured when `hypergen plan` runs, never while compiling."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from hypergen_compiler.plan.step import ITEMS, datasets

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["Machine", "measure"]

COPIED = 16 * 2**20  # elements, far more than caches hold
CALLS = 200  # small ones in a row
TRIED, LONGEST = 8, 1.0  # items of a first try, and the seconds that it may take


@dataclass(frozen=True)
class Machine:
    """Bytes per second that a copy moves, and the seconds of the model's own work; None where it was not run.

    `plain` is a whole training step of the model itself on all items of a step, `together` its forward and backward
    pass alone, `passes` those for each dataset of a step. `call` is any call on a few numbers with its backward pass.
    """

    bandwidth: float
    plain: float | None = None
    together: float | None = None
    passes: float | None = None
    call: float = 0.0


def measure(model: nn.Module, point: EntryPoint | None, clock: Callable[[], float] = time.perf_counter) -> Machine:
    """A quick copy and, where the model is at hand and fast enough, its own training step.

    The model itself is left as it is, and so are torch's random numbers.
    """
    seconds = partial(median_seconds, clock=clock)
    source, target = torch.ones(COPIED), torch.empty(COPIED)
    bandwidth = 2 * source.nbytes / seconds(lambda: target.copy_(source))
    call = seconds(small_calls) / CALLS
    if point is None or any(tensor.device.type != "cpu" for tensor in [*model.parameters(), *model.buffers()]):
        return Machine(bandwidth, call=call)
    with torch.random.fork_rng(devices=[]):
        model = copy.deepcopy(model).train()
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=True)
        apart = datasets(together=False)
        inputs = {n: point.example(n) for n in (TRIED, ITEMS // apart, ITEMS)}

        def passes(n: int) -> None:
            optimizer.zero_grad(set_to_none=True)
            point.call(model, *inputs[n]).mean().backward()

        def step() -> None:
            passes(ITEMS)
            optimizer.step()

        if seconds(lambda: passes(TRIED), runs=1) > LONGEST:
            return Machine(bandwidth, call=call)
        together = seconds(lambda: passes(ITEMS))
        return Machine(bandwidth, seconds(step), together, apart * seconds(lambda: passes(ITEMS // apart)), call)


def small_calls() -> None:
    value = start = torch.zeros(16, requires_grad=True)
    for _ in range(CALLS):
        value = torch.tanh(value)
    torch.autograd.grad(value.sum(), start)


def median_seconds(run: Callable[[], object], runs: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time of a few runs, after one that warms up."""
    run()
    times = []
    for _ in range(runs):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)
