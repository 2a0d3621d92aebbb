"""Loops that are too long to record call by call: three iterations are recorded and stand for all.

A sampler that writes `for i in hypergen.steps(1000):` runs all its steps as a model, and is recorded as a loop whose
iterations are alike: what changes from one to the next is `i` and what is carried over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Iteration", "Repetition", "current_iteration", "shortened", "steps"]

RECORDED_STEPS = 3  # the first, and two more that show how it goes on


@dataclass(eq=False)
class Repetition:
    """One run through a loop of `count` iterations."""

    count: int


class Iteration(NamedTuple):
    """Where in a repetition a call was made."""

    repetition: Repetition
    number: int


SHORTENED = [False]
CURRENT: list[Iteration] = []


def steps(count: int) -> Iterator[int]:
    """`range(count)`, of which a recording runs the first three.

    Every iteration must make the same calls. Numbers may follow `i` linearly; tables that depend on it otherwise are
    tensors, indexed by `i`.
    """
    if not SHORTENED[0] or count <= RECORDED_STEPS:
        yield from range(count)
        return
    repetition = Repetition(count)
    for number in range(RECORDED_STEPS):
        CURRENT.append(Iteration(repetition, number))
        try:
            yield number
        finally:
            CURRENT.pop()


def current_iteration() -> Iteration | None:
    """The innermost shortened loop that is running."""
    return CURRENT[-1] if CURRENT else None


@contextmanager
def shortened() -> Iterator[None]:
    """Inside, `steps` runs three iterations."""
    SHORTENED[0] = True
    try:
        yield
    finally:
        SHORTENED[0] = False
        CURRENT.clear()
