"""Recording without values: for models that are too large to run, or that have no values yet.

Such a model is recorded under torch's `FakeTensorMode`, where tensors have shapes and types only.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

__all__ = ["RANDOM_WITHOUT_VALUES", "fake_copy", "faking", "needs_faking"]

SHARE_OF_MEMORY = 0.25  # parameters that take more of the machine's memory than this leave no room to run them
# A fake call moves no generator, so what draws random numbers must be known by name.
RANDOM_WITHOUT_VALUES = frozenset(
    """rand randn randint randperm rand_like randn_like randint_like normal normal_ uniform_ bernoulli bernoulli_
    dropout alpha_dropout feature_dropout multinomial poisson exponential_ random_ geometric_ cauchy_
    log_normal_""".split()
)


def needs_faking(model: nn.Module) -> bool:
    """Whether the model has parameters on the meta device, or more than a quarter of this machine's memory."""
    parameters = list(model.parameters())
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    return any(parameter.is_meta for parameter in parameters) or size > SHARE_OF_MEMORY * physical_memory()


def physical_memory() -> float:
    """Bytes; without a limit where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A copy of the model's structure whose parameters and buffers are fake: no value is read or copied."""
    memo: dict[int, object] = {}
    with mode:
        for parameter in model.parameters():
            memo[id(parameter)] = nn.Parameter(empty_like(parameter), requires_grad=parameter.requires_grad)
        for buffer in model.buffers():
            memo[id(buffer)] = empty_like(buffer)
    return copy.deepcopy(model, memo)


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")


@contextmanager
def faking(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, tensors are fake; the value is the copy of the model to run."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield fake_copy(model, mode)
