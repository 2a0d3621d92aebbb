"""The model once more, in float64: what its own float32 results are measured against where a package's differ."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hypergen_compiler.verification.observation import observe_model

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["observe_exactly"]

UNTYPED_DRAWS = ("rand", "randn", "normal")  # of the default type, which is another here


def observe_exactly(
    model: nn.Module, point: EntryPoint, inputs: tuple[Any, ...], training: bool, seed: int
) -> dict[str, Any] | None:
    """What `observe_model` observes, of a copy of the model in float64; None where it does not run so.

    The copy draws the random numbers that the model draws in float32.
    """
    try:
        exact = copy.deepcopy(model).double()
        doubled = tuple(
            item.double() if isinstance(item, Tensor) and item.dtype == torch.float32 else item for item in inputs
        )
        with default_type(torch.float64), SameDraws():
            return observe_model(exact, point, doubled, training, seed)
    except Exception:  # whatever a model does not take in float64, it is not compared by
        return None


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class SameDraws(TorchDispatchMode):
    """Draws every random number in float32, so that a generator gives what it gives to a model in float32."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in function.tags:
            return function(*args, **kwargs)
        if kwargs.get("dtype") == torch.float64 or name_of(function) in UNTYPED_DRAWS:
            kwargs["dtype"] = torch.float32
        given = [item.float() if is_double(item) else item for item in args]
        drawn = function(*given, **kwargs)
        if name_of(function).endswith("_") and is_double(args[0]):
            return args[0].copy_(drawn)
        return torch.utils._pytree.tree_map(lambda item: item.double() if is_single(item) else item, drawn)


def name_of(function: Any) -> str:
    return function.overloadpacket.__name__


def is_double(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dtype == torch.float64


def is_single(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dtype == torch.float32
