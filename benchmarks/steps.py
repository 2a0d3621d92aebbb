"""Timing of training steps on a machine that is never quite quiet.

A step is never compared with one of another minute: every turn of a contender follows a turn of the plain model, and
what counts is the median of the ratios of such pairs, with their quartiles as its spread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy
import torch

__all__ = ["Ratio", "Times", "finished", "ratio", "seconds_per_step", "time_pairs"]

LEAST_ROUNDS = 3
MOST_ROUNDS = 200
TURN = 0.05  # seconds; a turn is as many steps as fill them, so that a short step finds its own data in the cache

Step = Callable[[], None]


@dataclass(frozen=True)
class Times:
    """Seconds per step of every turn of a contender, and of the plain model's turns right before them."""

    plain: tuple[float, ...]
    own: tuple[float, ...]


@dataclass(frozen=True)
class Ratio:
    """The median of pairwise ratios, and their quartiles."""

    median: float
    low: float
    high: float


def ratio(times: Times) -> Ratio:
    """How many plain steps one step takes."""
    low, median, high = numpy.quantile(numpy.divide(times.own, times.plain), [0.25, 0.5, 0.75])
    return Ratio(float(median), float(low), float(high))


def time_pairs(
    plain: Step, contenders: Mapping[str, Step], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Times]:
    """Times of every contender, turn by turn in one process.

    A contender leaves the round once its pairs took `seconds`, but has at least LEAST_ROUNDS turns. The round starts
    with another contender each time. Each step was run before, so that its memory is allocated.
    """
    for step in (plain, *contenders.values()):
        step()
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    spent = dict.fromkeys(contenders, 0.0)
    waiting = list(contenders)
    while waiting:
        for name in waiting:
            start = clock()
            pairs[name].append((turn(plain, clock), turn(contenders[name], clock)))
            spent[name] += clock() - start
        waiting = [name for name in waiting if goes_on(len(pairs[name]), spent[name], seconds)]
        waiting = waiting[1:] + waiting[:1]
    return {name: Times(*map(tuple, zip(*found, strict=True))) for name, found in pairs.items()}


def goes_on(rounds: int, spent: float, seconds: float) -> bool:
    return rounds < LEAST_ROUNDS or (spent < seconds and rounds < MOST_ROUNDS)


def turn(step: Step, clock: Callable[[], float]) -> float:
    """Seconds per step. The first step of a turn counts only where it fills the turn."""
    start = clock()
    step()
    first = clock() - start
    if first >= TURN:
        return first
    return seconds_per_step(step, max(1, int((TURN - first) / max(first, 1e-9))), clock)


def seconds_per_step(step: Step, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    for _ in range(count):
        step()
    return (clock() - start) / count


def finished(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """A step that returns when the device has done it, so that it can be timed."""
    if device.type != "cuda":
        return step

    def waited() -> None:
        step()
        torch.cuda.synchronize(device)

    return waited
