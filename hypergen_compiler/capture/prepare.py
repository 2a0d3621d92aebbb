"""Making runs of a model repeatable: fresh copies, cleared caches, one seed, and everything put back afterwards."""

from __future__ import annotations

import copy
import functools
import gc
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from hypergen_compiler.capture.frames import TORCH
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.where import in_standard_library

__all__ = ["clear_caches", "fresh_copy", "outside_randomness_refused", "restored", "seeded"]

SEED = 0


def fresh_copy(model: nn.Module) -> nn.Module:
    """A copy whose caches and state are those of the model now; the model itself where it cannot be copied."""
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError):
        return model


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Runs under a fixed seed and leaves torch's, numpy's and Python's generators as they were."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


@contextmanager
def outside_randomness_refused(entry: str, where: str | None) -> Iterator[None]:
    """Raises HG209 when numpy's or Python's generator moved: its numbers would be frozen into the program."""
    before = outside_state()
    yield
    for library, one, other in zip(("numpy", "Python's random module"), before, outside_state(), strict=True):
        if one != other:
            raise HyperGenError(
                "HG209",
                f"{entry} draws random numbers from {library}",
                where=where,
                remedy="Draw them with torch, or pass them as an input of the entry point.",
            )


def outside_state() -> tuple[Any, Any]:
    kind, keys, *rest = np.random.get_state()
    return (kind, keys.tobytes(), *rest), random.getstate()


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Puts parameters, buffers and training flags back, values and identities."""
    modes = {module: module.training for module in model.modules()}
    tensors_before = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    registered = [(module, dict(module._buffers)) for module in model.modules()]
    try:
        yield
    finally:
        for module, table in registered:
            module._buffers.update(table)
        with torch.no_grad():
            for tensor, value in tensors_before:
                tensor.copy_(value)
        for module, mode in modes.items():
            module.training = mode


def clear_caches() -> None:
    """Empties `lru_cache`s of the user's and of third-party modules: a cached tensor would be taken for a constant."""
    for cache in caches(len(sys.modules)):
        cache.cache_clear()


@functools.lru_cache(maxsize=1)
def caches(modules: int) -> tuple[Any, ...]:
    """Every cache outside torch and the standard library; looked for anew when more modules were imported."""
    found = [item for item in gc.get_objects() if type(item) is functools._lru_cache_wrapper]
    return tuple(cache for cache in found if is_foreign(sys.modules.get(cache.__module__ or "")))


def is_foreign(module: Any) -> bool:
    file = getattr(module, "__file__", None) or ""
    library = in_standard_library(file)
    known = module is not None and module.__name__.partition(".")[0] in ("numpy", "sympy", "hypergen_compiler")
    return bool(file) and not library and not file.startswith(TORCH) and not known
