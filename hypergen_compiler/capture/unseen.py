"""Ways of running a model that recorded calls do not show, refused where they are met."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hypergen_compiler.errors import HyperGenError

__all__ = ["refuse_unseen"]

BACKWARD = frozenset({"Tensor.backward", "torch.autograd.backward"})


def refuse_unseen(name: str, used: Sequence[torch.Tensor], where: str | None, *, autocast: bool) -> None:
    """Raises HG401 for gradients left in `.grad`, for torch.func's transforms, and for autocast.

    `autocast` tells whether it was on when the recording started.
    """
    if name in BACKWARD:
        remedy = "Use torch.autograd.grad(output, inputs), which returns the gradients."
        raise HyperGenError("HG401", "the entry point calls backward() itself", where=where, remedy=remedy)
    if any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in used):
        remedy = "Write it with batched operations and torch.autograd.grad."
        raise HyperGenError("HG401", "the entry point uses vmap or another of torch.func", where=where, remedy=remedy)
    if torch.is_autocast_enabled("cpu") and not autocast:
        remedy = "Leave autocast to what calls the entry point, or convert with `.to(dtype)`."
        raise HyperGenError("HG401", "the entry point runs under torch.autocast", where=where, remedy=remedy)
