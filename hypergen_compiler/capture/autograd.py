"""The user's own `torch.autograd.Function`s: each is one recorded call, so that its own backward survives.

One whose class cannot be copied into a package is recorded as the calls of its forward instead, where autograd gives
these the same gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import torch
from torch.autograd import Function
from torch.utils.checkpoint import CheckpointFunction

from hypergen_compiler.capture.tape import tensors
from hypergen_compiler.ops.custom import stands_alone

__all__ = ["whole_autograd_functions"]

APPLIED: dict[type, Callable[..., Any]] = {}
ORIGINAL: list[Callable[..., Any]] = []  # what torch's own `apply` did, while it is exchanged


@contextmanager
def whole_autograd_functions() -> Iterator[None]:
    """Lets `autograd.Function.apply` be seen as one call.

    Where it is written in Python its code is exchanged, not the method, which `round = Round.apply` has bound already.
    """
    method = Function.__dict__["apply"]
    plain = getattr(method, "__func__", None)
    if isinstance(plain, FunctionType):
        copied = FunctionType(plain.__code__, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__)
        ORIGINAL.append(copied)
        plain.__code__ = exchanged(len(plain.__closure__ or ()))
    else:  # from torch 2.14 on
        ORIGINAL.append(lambda cls, *args, **kwargs: method.__get__(None, cls)(*args, **kwargs))
        Function.apply = classmethod(lambda cls, *args, **kwargs: seen(cls, args, kwargs))
    try:
        yield
    finally:
        ORIGINAL.pop()
        if isinstance(plain, FunctionType):
            plain.__code__ = copied.__code__
        else:
            Function.apply = method


def exchanged(variables: int) -> CodeType:
    """The code that hands a call on to `seen`, with as many closed-over variables as what it is exchanged for."""
    closed_over = None

    def apply(cls, *args, **kwargs):
        from hypergen_compiler.capture.autograd import seen  # its globals are torch's

        return seen(cls, args, kwargs)

    def closed(cls, *args, **kwargs):
        from hypergen_compiler.capture.autograd import seen

        return seen(cls, args, kwargs) if True else closed_over

    return (closed if variables else apply).__code__


def seen(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One application of an autograd function while a model is recorded."""
    if cls is CheckpointFunction:  # only computes its function again in the backward pass
        call, _, *inputs = args
        return call(*inputs)
    present = tensors((args, kwargs))
    if not present or not torch._C._is_torch_function_mode_enabled():
        return ORIGINAL[-1](cls, *args, **kwargs)
    if not stands_alone(cls) and is_its_forward(cls, args, kwargs):
        return forward(cls, args, kwargs)
    return torch.overrides.handle_torch_function(applied(cls), present, *args, **kwargs)


def applied(cls: type[Function]) -> Callable[..., Any]:
    """The `apply` of one autograd function, the same object each time."""
    if cls not in APPLIED:

        def function(*args, **kwargs):
            return cls.apply(*args, **kwargs)

        function.__name__ = function.__qualname__ = cls.__name__
        function.__module__ = cls.__module__
        function.autograd_function = cls
        APPLIED[cls] = function
    return APPLIED[cls]


class Context(SimpleNamespace):
    """What a forward is handed to keep things in for a backward that is not called."""

    needs_input_grad = (True,) * 100

    def save_for_backward(self, *saved: Any) -> None: ...

    save_for_forward = mark_dirty = mark_non_differentiable = set_materialize_grads = save_for_backward


def forward(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    takes_context = cls.setup_context is Function.setup_context
    return cls.forward(*((Context(),) if takes_context else ()), *args, **kwargs)


def is_its_forward(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether autograd gives the gradients of the forward that the class's own backward gives."""
    with torch._C.DisableTorchFunction(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        given = [(tensor, tensor.detach().clone(), tensor._version) for tensor in tensors((args, kwargs))]
        try:
            state = torch.get_rng_state()
            leaves: list[torch.Tensor] = []
            plain = observed(lambda *a, **k: forward(cls, a, k), args, kwargs, leaves)
            torch.set_rng_state(state)
            own = observed(lambda *a, **k: ORIGINAL[-1](cls, *a, **k), args, kwargs, leaves)
        except Exception:  # a forward that is no plain function, or a backward that fails
            return False
        changed = [(tensor, value) for tensor, value, version in given if tensor._version != version]
        for tensor, value in changed:
            tensor.data.copy_(value)
        return not changed and len(own) == len(plain) and all(map(agree, own, plain))


def observed(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[torch.Tensor]
) -> list[torch.Tensor | None]:
    """The outputs of a call and the gradients of its inputs and of the leaves, which it may close over."""
    args, kwargs = tuple(map(tracked_input, args)), {name: tracked_input(item) for name, item in kwargs.items()}
    inputs = [tensor for tensor in tensors((args, kwargs)) if tensor.requires_grad]
    outputs = tensors(call(*args, **kwargs))
    tracked = [output for output in outputs if output.requires_grad]
    leaves += [] if leaves else leaves_of(tracked)
    total = sum((output * torch.linspace(0.5, 1.5, output.numel()).view_as(output)).sum() for output in tracked)
    wanted = [*inputs, *leaves]
    gradients = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True) if tracked else ()
    return [*(output.detach() for output in outputs), *gradients]


def tracked_input(item: Any) -> Any:
    """Data as a copy that has a gradient too."""
    if not isinstance(item, torch.Tensor) or item.requires_grad or not item.is_floating_point():
        return item
    return item.detach().clone().requires_grad_()


def leaves_of(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The weights that tensors were computed from."""
    found: list[torch.Tensor] = []
    known: set[Any] = set()
    waiting = [output.grad_fn for output in outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in known:
            continue
        known.add(node)
        found += [node.variable] if hasattr(node, "variable") else []
        waiting += [step for step, _ in node.next_functions]
    return found


def agree(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None:
        known = one if other is None else other
        return known is None or not known.any()
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True)
