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
from hypergen_compiler.capture.tape import same_values
from hypergen_compiler.where import in_standard_library

__all__ = ["RUN_SEED", "clear_caches", "fresh_copy", "put_back", "restored", "seeded"]

SEED = 0
RUN_SEED = 72_101  # one that no model is likely to set itself, so that it is seen when one does


def fresh_copy(model: nn.Module) -> nn.Module:
    """A copy whose caches and state are those of the model now; the model itself where it cannot be copied."""
    try:
        return copy.deepcopy(model)
    except Exception:  # whatever a class raises that does not let itself be copied
        return model


def put_back(tensor: torch.Tensor, value: torch.Tensor) -> None:
    """Writes into a tensor what it held before, unless it holds it still: one that `expand` made takes no writes."""
    if not same_values(tensor.detach(), value):
        tensor.copy_(value)


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
                put_back(tensor, value)
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
