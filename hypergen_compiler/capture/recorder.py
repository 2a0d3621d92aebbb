"""The recorder: a torch-function mode that runs an entry point on real tensors and writes down every call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from hypergen_compiler.capture import frames
from hypergen_compiler.capture.autograd import whole_autograd_functions
from hypergen_compiler.capture.fake import RANDOM_WITHOUT_VALUES
from hypergen_compiler.capture.places import Places
from hypergen_compiler.capture.seen import Seen
from hypergen_compiler.capture.settled import Settled
from hypergen_compiler.capture.sources import Sources
from hypergen_compiler.capture.steps import current_iteration, shortened
from hypergen_compiler.capture.tape import Call, Escape, Ref, Tape, fill, references, tensors
from hypergen_compiler.capture.unseen import kept_surroundings, refuse_unseen, surroundings
from hypergen_compiler.capture.writes import Before

__all__ = ["Recorder", "qualified_name"]

# Attributes that tell about a tensor without reading its values: plain Python from there on.
DESCRIPTIONS = frozenset(
    """shape dtype device ndim requires_grad is_cuda layout is_leaf grad_fn names is_sparse is_nested is_quantized
    is_mps is_meta is_cpu itemsize nbytes _version grad_dtype is_xla is_mkldnn is_sparse_csr is_vulkan is_xpu is_ipu
    is_hpu""".split()
)
ESCAPES = frozenset(
    """item tolist __bool__ __float__ __int__ __complex__ numpy __index__ equal allclose is_nonzero __array__
    __contains__""".split()
)
REFLECTED = frozenset({"Tensor.add", "Tensor.mul"})  # recorded alike for `x + 1` and `1 + x`
OF_ARRAYS = frozenset({"torch.tensor", "torch.as_tensor", "torch.asarray"})
OVERWRITING = frozenset(
    "normal_ uniform_ fill_ zero_ copy_ exponential_ random_ bernoulli_ geometric_ log_normal_ cauchy_ "
    "constant_".split()
)
# What gives a view of what lies in order in memory, and a copy of anything else.
PERHAPS_VIEWS = frozenset({"contiguous", "reshape", "reshape_as", "flatten", "ravel"})


def qualified_name(function: Callable[..., Any]) -> str:
    """`torch.nn.functional.linear`, `Tensor.view`, `Tensor.grad.__get__`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in ("__get__", "__set__", "__delete__"):
        return f"Tensor.{function.__self__.__name__}.{name}"
    if hasattr(function, "__objclass__"):
        return f"Tensor.{name}"
    resolved = (
        resolve_name(function) or f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', name)}"
    )
    if resolved.startswith("torch.functional.") and getattr(torch, name, None) is function:
        return f"torch.{name}"
    return resolved.replace("torch.Tensor.", "Tensor.").replace("torch._VariableFunctionsClass.", "torch.")


class Recorder(TorchFunctionMode):
    """Records one run of `module`; `inputs` are the entry point's tensors in order, `scopes` whether names are wanted.

    Whether a call writes or draws random numbers is measured, by tensors' version counters and the generator's state,
    not looked up in a list.
    """

    def __init__(self, module: nn.Module, inputs: Iterable[torch.Tensor], *, scopes: bool, fake: bool = False):
        super().__init__()
        self.fake = fake
        self.tape = Tape()
        self.seen = Seen(self.tape)
        self.sources = Sources(self.tape)
        self.settled = Settled()
        self.places = Places(module, self.seen, outermost=run.__code__) if scopes else None
        self.generator = torch.get_rng_state()
        self.outside = surroundings()
        self.seen.see_module(module)
        for number, tensor in enumerate(inputs):
            self.seen.see(tensor, Ref("input", number))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        short = getattr(function, "__name__", "")
        if short == "__get__" and function.__self__.__name__ in DESCRIPTIONS:
            return function(*args, **kwargs)
        if self.places is None:
            return self.recorded(function, short, args, kwargs, sys._getframe(1))
        sys.setprofile(None)  # it is for the user's frames; to be told of every one of ours takes long
        try:
            return self.recorded(function, short, args, kwargs, sys._getframe(1))
        finally:
            sys.setprofile(self.places.profile)

    def recorded(self, function, short, args, kwargs, frame: FrameType) -> Any:
        """Makes a call and writes it down; `frame` is what called it."""
        name, where = qualified_name(function), frames.location(frame)
        used = tensors((args, kwargs))
        if name in OF_ARRAYS and not used and isinstance(args[0] if args else None, np.ndarray):
            return function(*args, **kwargs)  # a constant, like what torch.from_numpy gives
        refuse_unseen(name, used, where, self.outside)
        target = args[0] if args else kwargs.get("tensor")  # as functions of nn.init are called
        if short in OVERWRITING and isinstance(target, torch.Tensor) and id(target) not in self.seen.refs:
            self.see_empty(target, where, frame)
        argument = partial(self.seen.argument, where=where)
        arguments = fill((spread_size(short, args), dict(kwargs)), argument)
        call = Call(function, name, *arguments, torch.is_grad_enabled(), iteration=current_iteration(), where=where)
        before = Before(self.seen, used, short, fake=self.fake)
        output = self.made(call, lambda: function(*args, **kwargs))
        call.tracked = any(tensor.requires_grad for tensor in tensors(output))
        call.random = call.random or (self.fake and short in RANDOM_WITHOUT_VALUES)
        call.writes = before.written_storages(call)
        call.out = fill(output, self.seen.result)
        if short in PERHAPS_VIEWS:
            self.seen.join_memory(used[0], output)
        self.settled.see(call)
        self.note(call, short, frame)
        return output

    def made(self, call: Call, make: Callable[[], Any]) -> Any:
        """What a call gives; notes whether it, or anything since the last one, moved the random generator."""
        if self.fake:
            return make()
        self.tape.reseeded = self.tape.reseeded or self.is_reseeded()
        state = torch.get_rng_state()
        output = make()
        self.generator = torch.get_rng_state()
        call.random = not torch.equal(state, self.generator)
        return output

    def is_reseeded(self) -> bool:
        """Whether torch's generator is another than the last recorded call, or the beginning, has left."""
        return not self.fake and not torch.equal(torch.get_rng_state(), self.generator)

    def see_empty(self, tensor: torch.Tensor, where: str | None, frame: FrameType) -> None:
        """A tensor that `torch.Tensor(n, 4)` made, which is no recorded call, and that is about to be filled."""
        if self.seen.memory_of(tensor) in self.tape.storages.values():
            return
        size = tuple(tensor.shape) or ((),)
        kept = {} if tensor.dtype == torch.get_default_dtype() else {"dtype": tensor.dtype}
        call = Call(torch.empty, "torch.empty", size, kept, torch.is_grad_enabled(), where=where)
        call.iteration, call.out = current_iteration(), self.seen.result(tensor)
        self.keep(call, frame)

    def note(self, call: Call, short: str, frame: FrameType) -> None:
        """Keeps a call that made or changed a tensor; one that let a value escape is remembered as such."""
        read, made = list(references((call.args, call.kwargs))), list(references(call.out))
        sources = self.sources.of(read)
        if made or call.writes or call.random:
            self.sources.see(call, sources, made)
            self.keep(call, frame)
        elif (
            short in ESCAPES
            and sources
            and not self.settled.found.issuperset(read)
            and "distributions" not in frame.f_code.co_filename
        ):
            kinds = frozenset(source.kind for source in sources)
            buffers = frozenset(source for source in sources if source.kind == "buffer")
            self.tape.escapes.append(Escape(kinds, buffers, short, call.where, frames.is_guard(frame)))

    def keep(self, call: Call, frame: FrameType) -> None:
        if self.places is not None:
            self.places.place(call, frame)
            call.reflected = call.name in REFLECTED and frames.is_reflected(frame)
        self.tape.calls.append(call)


def run(recorder: Recorder, call: Callable[..., Any], module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """Runs an entry point under the recorder."""
    before, recorder.generator = sys.getprofile(), torch.get_rng_state()
    with whole_autograd_functions(), shortened(), kept_surroundings(), recorder:
        if recorder.places is not None:
            sys.setprofile(recorder.places.profile)
        try:
            return call(module, *inputs)
        finally:
            sys.setprofile(before if callable(before) else None)  # a C profiler cannot be put back


def spread_size(short: str, args: Any) -> tuple[Any, ...]:
    """The arguments of `x.new(size)` as `x.new(*size)`: a plain tuple in the place of the size would be data."""
    if short == "new" and len(args) == 2 and isinstance(args[1], torch.Size):
        return (args[0], *args[1])
    return tuple(args)
