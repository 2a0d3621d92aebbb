"""Random numbers that no recorded call draws: a package would not draw them, or not anew in every call."""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
from torch import nn

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.frames import is_torch
from hypergen_compiler.capture.prepare import RUN_SEED, seeded
from hypergen_compiler.capture.recorder import Recorder, run
from hypergen_compiler.capture.tape import tensors
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.where import is_foreign, library

__all__ = ["check_randomness", "outside_state"]


GENERATORS = (random.Random, np.random.RandomState, np.random.Generator)


def outside_state(model: nn.Module) -> dict[str, bytes]:
    """The states of all generators but torch's: numpy's, Python's, and those that the model holds."""
    held = {
        f"{path}.{name}".lstrip("."): pickle.dumps(value)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, GENERATORS) and not isinstance(value, random.SystemRandom)
    }
    return {
        "numpy": pickle.dumps(np.random.get_state()),
        "Python's random module": pickle.dumps(random.getstate()),
        **held,
    }


def moved(model: nn.Module, before: dict[str, bytes]) -> list[str]:
    """The generators that are not as they were before."""
    return [name for name, state in outside_state(model).items() if before.get(name, state) != state]


def check_randomness(
    model: nn.Module, point: EntryPoint, inputs: tuple[Any, ...], recorder: Recorder, before: dict[str, bytes]
) -> None:
    """Raises HG209 where a run moved a generator outside of recorded calls; other libraries' were as in `before`.

    The line that moves it is found in another run.
    """
    again = Recorder(model, tensors(inputs), scopes=False, fake=recorder.fake)
    outside = moved(model, before)
    if outside:
        what = f"draws random numbers from {outside[0]}"
        remedy = "Draw them with torch, or pass them as an input of the entry point."
    elif recorder.tape.reseeded or recorder.is_reseeded():
        what = "sets torch's random generator, or moves it outside of recorded calls"
        remedy = "Seed the generator before calling the entry point."
    else:
        return
    with seeded(RUN_SEED):
        happened = partial(moved, model, outside_state(model)) if outside else again.is_reseeded
        with first_line(happened) as found:
            run(again, point.call, model, inputs)
    raise HyperGenError("HG209", f"{point.name} {what}", where=next(iter(found), point.origin), remedy=remedy)


@contextmanager
def first_line(happened: Callable[[], object]) -> Iterator[list[str]]:
    """The line of the user's code during which something happens, of what runs meanwhile; none where it does not."""
    found: list[str] = []
    running: str | None = None

    def look() -> None:
        if running and not found and happened():
            found.append(running)

    def step(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal running
        look()
        running = place(frame.f_back if event == "return" else frame)
        return step

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return step(frame, event, argument) if is_users(frame) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield found
    finally:
        sys.settrace(before)
        look()


def place(frame: FrameType | None) -> str | None:
    """`file:line` of the innermost frame of the user's own files within a run; failing that, of a library's."""
    of_library = None
    while frame is not None and frame.f_code is not run.__code__:
        if is_users(frame):
            here = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            if library(frame.f_code.co_filename) is None:
                return here
            of_library = of_library or here
        frame = frame.f_back
    return of_library


def is_users(frame: FrameType) -> bool:
    return is_foreign(frame.f_code.co_filename) and not is_torch(frame.f_code)
