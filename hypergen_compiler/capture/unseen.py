"""Ways of running a model that recorded calls do not show, refused where they are met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from hypergen_compiler.errors import HyperGenError

__all__ = ["Surroundings", "kept_surroundings", "refuse_unseen", "surroundings"]

BACKWARD = frozenset({"Tensor.backward", "torch.autograd.backward"})
HOOKS = frozenset({"Tensor.register_hook", "Tensor.register_post_accumulate_grad_hook"})


class Surroundings(NamedTuple):
    """What changes what a call computes, or the type that it computes in, beside its arguments."""

    autocast: bool
    default: torch.dtype


def surroundings() -> Surroundings:
    return Surroundings(torch.is_autocast_enabled("cpu"), torch.get_default_dtype())


@contextmanager
def kept_surroundings() -> Iterator[None]:
    """Puts back what a model sets for the whole process."""
    default, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        torch.set_grad_enabled(grad)


def refuse_unseen(name: str, used: Sequence[torch.Tensor], where: str | None, outside: Surroundings) -> None:
    """Raises HG401 for gradients left in `.grad`, hooks, torch.func's transforms, autocast and another default type.

    `outside` were the surroundings when the recording started.
    """
    now = surroundings()
    if name in BACKWARD:
        what, remedy = (
            "calls backward() itself",
            "Use torch.autograd.grad(output, inputs), which returns the gradients.",
        )
    elif name in HOOKS:
        what, remedy = "registers a hook on a gradient", "Write it as a torch.autograd.Function, or leave it out."
    elif any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in used):
        what, remedy = "uses vmap or another of torch.func", "Write it with batched operations and torch.autograd.grad."
    elif now.autocast and not outside.autocast:
        what = "runs under torch.autocast"
        remedy = "Leave autocast to what calls the entry point, or convert with `.to(dtype)`."
    elif now.default != outside.default:
        what, remedy = "sets another default type", "Give `dtype=` where tensors are made."
    else:
        return
    raise HyperGenError("HG401", f"the entry point {what}", where=where, remedy=remedy)
