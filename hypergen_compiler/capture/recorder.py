"""The recorder: a torch-function mode that runs an entry point on real tensors and writes down every call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from hypergen_compiler.capture import frames
from hypergen_compiler.capture.autograd import whole_autograd_functions
from hypergen_compiler.capture.fake import RANDOM_WITHOUT_VALUES
from hypergen_compiler.capture.registered import named_state, named_weights, unprintable
from hypergen_compiler.capture.settled import Settled
from hypergen_compiler.capture.steps import current_iteration, shortened
from hypergen_compiler.capture.tape import Call, Escape, Ref, Scope, Tape, Written, fill, references, tensors
from hypergen_compiler.capture.unseen import kept_surroundings, refuse_unseen, surroundings
from hypergen_compiler.errors import HyperGenError

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
UNCOUNTED = frozenset({"batch_norm", "instance_norm"})  # these update running statistics, and no version tells of it
REFLECTED = frozenset({"Tensor.add", "Tensor.mul"})  # recorded alike for `x + 1` and `1 + x`
OF_ARRAYS = frozenset({"torch.tensor", "torch.as_tensor", "torch.asarray"})
SHORT = 32  # elements of an array that is written as a list
OVERWRITING = frozenset(
    "normal_ uniform_ fill_ zero_ copy_ exponential_ random_ bernoulli_ geometric_ log_normal_ cauchy_ "
    "constant_".split()
)
SHAPE_ONLY = frozenset(
    "zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full".split()
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
        self.with_scopes = scopes
        self.tape = Tape()
        self.refs: dict[int, Ref] = {}
        self.alive: list[Any] = []
        self.sources: dict[Ref, frozenset[Ref]] = {}
        self.written_sources: dict[int, frozenset[Ref]] = {}
        self.joined: dict[int, int] = {}
        self.arrays: dict[int, torch.Tensor] = {}
        self.settled = Settled()
        self.generator = torch.get_rng_state()
        self.outside = surroundings()
        self.scopes: dict[int, Scope] = {}
        self.turns: dict[tuple[int, int], list[Scope]] = {}
        self.paths = {id(child): path for path, child in module.named_modules()}
        for name, weight in named_weights(module).items():
            self.see(weight, Ref("parameter", name))
        for name, buffer in named_state(module).items():
            self.see(buffer, Ref("buffer", name))
        for number, tensor in enumerate(inputs):
            self.see(tensor, Ref("input", number))

    def see(self, tensor: torch.Tensor, ref: Ref) -> Ref:
        self.refs[id(tensor)] = ref
        self.alive.append(tensor)  # ids and storages stay unique only while their owners live
        self.tape.shapes[ref], self.tape.dtypes[ref] = tuple(tensor.shape), tensor.dtype
        self.tape.storages[ref] = self.memory_of(tensor)
        if ref.kind != "value":
            self.sources[ref] = frozenset((ref,))
        return ref

    def argument(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in self.refs:
                ref = Ref("constant", len(self.tape.constants))
                known = {storage for other, storage in self.tape.storages.items() if other.kind != "constant"}
                if self.memory_of(value) in known:
                    self.tape.aliases.add(ref)
                self.see(value, ref)
                place = frames.location(sys._getframe(2))
                if problem := unprintable(value):
                    remedy = "Keep it dense, and convert it where it is used."
                    raise HyperGenError("HG402", f"a tensor {problem}", where=place, remedy=remedy)
                self.tape.constants[ref] = value.detach().clone()
                self.tape.constant_ids.add(id(value))
                self.tape.constant_places[ref] = place
            return self.refs[id(value)]
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            return value.item()
        if isinstance(value, np.ndarray):  # an index, as a permutation is
            is_short = value.ndim == 1 and value.size <= SHORT and value.dtype.kind in "iub"
            return value.tolist() if is_short else self.argument(self.tensor_of(value))
        return value

    def tensor_of(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """The same tensor each time."""
        if id(array) not in self.arrays:
            self.alive.append(array)
            self.arrays[id(array)] = torch.from_numpy(array)
        return self.arrays[id(array)]

    def result(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in self.refs:
                self.see(value, Ref("value", len(self.tape.shapes)))
            return self.refs[id(value)]
        return value

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        short = getattr(function, "__name__", "")
        if short == "__get__" and function.__self__.__name__ in DESCRIPTIONS:
            return function(*args, **kwargs)
        if not self.with_scopes:
            return self.recorded(function, short, args, kwargs, sys._getframe(1))
        sys.setprofile(None)  # it is for the user's frames; to be told of every one of ours takes long
        try:
            return self.recorded(function, short, args, kwargs, sys._getframe(1))
        finally:
            sys.setprofile(self.profile)

    def recorded(self, function, short, args, kwargs, frame: FrameType) -> Any:
        """Makes a call and writes it down; `frame` is what called it."""
        name, where = qualified_name(function), frames.location(frame)
        used = tensors((args, kwargs))
        if name in OF_ARRAYS and not used and isinstance(args[0] if args else None, np.ndarray):
            return function(*args, **kwargs)  # a constant, like what torch.from_numpy gives
        refuse_unseen(name, used, where, self.outside)
        target = args[0] if args else kwargs.get("tensor")  # as functions of nn.init are called
        if short in OVERWRITING and isinstance(target, torch.Tensor) and id(target) not in self.refs:
            self.see_empty(target, where, frame)
        call = Call(
            function,
            name,
            fill(spread_size(short, args), self.argument),
            fill(dict(kwargs), self.argument),
            grad=torch.is_grad_enabled(),
            iteration=current_iteration(),
            where=where,
        )
        versions = [version_of(tensor) for tensor in used]
        values = [tensor.detach().clone() for tensor in used] if short in UNCOUNTED else []
        generator = torch.get_rng_state()
        self.tape.reseeded = self.tape.reseeded or self.is_reseeded()
        output = function(*args, **kwargs)
        call.tracked = any(tensor.requires_grad for tensor in tensors(output))
        self.generator = torch.get_rng_state()
        call.random = short in RANDOM_WITHOUT_VALUES if self.fake else not torch.equal(generator, self.generator)
        call.writes = self.written_storages(call, used, versions) | self.updated_storages(used, values)
        call.out = fill(output, self.result)
        if short in PERHAPS_VIEWS:
            self.join_memory(used[0], output)
        self.settled.see(call)
        self.note(call, short, frame)
        return output

    def is_reseeded(self) -> bool:
        """Whether torch's generator is another than the last recorded call, or the beginning, has left."""
        return not self.fake and not torch.equal(torch.get_rng_state(), self.generator)

    def see_empty(self, tensor: torch.Tensor, where: str | None, frame: FrameType) -> None:
        """A tensor that `torch.Tensor(n, 4)` made, which is no recorded call, and that is about to be filled."""
        if self.memory_of(tensor) in self.tape.storages.values():
            return
        kept = {} if tensor.dtype == torch.get_default_dtype() else {"dtype": tensor.dtype}
        call = Call(
            torch.empty, "torch.empty", tuple(tensor.shape) or ((),), kept, torch.is_grad_enabled(), where=where
        )
        call.iteration, call.out = current_iteration(), self.result(tensor)
        self.sources[call.out] = frozenset()
        if self.with_scopes:
            self.place(call, frame)
        self.tape.calls.append(call)

    def join_memory(self, source: torch.Tensor, made: torch.Tensor) -> None:
        """Takes a copy for a view where a batch of one may give a view: then nothing lies between its rows."""
        memory = self.memory_of(source)
        strides = [stride for size, stride in zip(source.shape[1:], source.stride()[1:], strict=True) if size > 1]
        if source.dim() and strides == sorted(strides, reverse=True) and self.memory_of(made) != memory:
            self.joined[storage_of(made)] = self.tape.storages[self.refs[id(made)]] = memory

    def memory_of(self, tensor: torch.Tensor) -> int:
        """Its storage, or that of which it may be a view."""
        storage = storage_of(tensor)
        return self.joined.get(storage, storage)

    def written_storages(self, call: Call, used: list[torch.Tensor], versions: list[int]) -> frozenset[int]:
        name = call.name.rpartition(".")[2]
        changed = [tensor for tensor, before in zip(used, versions, strict=True) if version_of(tensor) != before]
        marks = call.name.endswith((".requires_grad_", ".retain_grad", ".__set__"))
        in_place = (name.endswith("_") and not name.endswith("__")) or name in ("__setitem__", "__iadd__", "__imul__")
        if used and (marks or (in_place and torch.is_inference_mode_enabled())):
            changed.append(used[0])
        return frozenset(self.tape.storages[self.refs[id(tensor)]] for tensor in changed if id(tensor) in self.refs)

    def updated_storages(self, used: list[torch.Tensor], before: list[torch.Tensor]) -> frozenset[int]:
        """The storages of buffers whose values a call changed; of all that it took where there are no values."""
        buffers = [pair for pair in zip(used, before, strict=False) if self.refs[id(pair[0])].kind == "buffer"]
        changed = [tensor for tensor, value in buffers if self.fake or not torch.equal(tensor, value)]
        return frozenset(self.tape.storages[self.refs[id(tensor)]] for tensor in changed)

    def note(self, call: Call, short: str, frame: FrameType) -> None:
        """Keeps a call that made or changed a tensor; one that let a value escape is remembered as such."""
        read = [ref for ref in references((call.args, call.kwargs))]
        sources = frozenset().union(*map(self.sources_of, read))
        made = list(references(call.out))
        if not made and not call.writes and not call.random:
            if (
                short in ESCAPES
                and sources
                and not self.settled.found.issuperset(read)
                and "distributions" not in frame.f_code.co_filename
            ):
                kinds = frozenset(source.kind for source in sources)
                buffers = frozenset(source for source in sources if source.kind == "buffer")
                self.tape.escapes.append(Escape(kinds, buffers, short, call.where, frames.is_guard(frame)))
            return
        if call.name.rpartition(".")[2] in SHAPE_ONLY:
            sources = frozenset()
        if call.random:
            sources |= {Ref("random", 0)}
        for storage in call.writes:
            self.written_sources[storage] = self.written_sources.get(storage, frozenset()) | sources
        for ref in made:
            if ref.kind == "value":
                self.sources[ref] = self.sources.get(ref, frozenset()) | sources
        if self.with_scopes:
            self.place(call, frame)
            call.reflected = call.name in REFLECTED and frames.is_reflected(frame)
        self.tape.calls.append(call)

    def sources_of(self, ref: Ref) -> frozenset[Ref]:
        """What a tensor was computed from, and what was written into its memory."""
        none: frozenset[Ref] = frozenset()
        return self.sources.get(ref, none) | self.written_sources.get(self.tape.storages[ref], none)

    def place(self, call: Call, frame: FrameType) -> None:
        """Finds the call's scope, the layer of torch's own that it belongs to, and the name of its result."""
        chain: list[FrameType] = []
        step: FrameType | None = frame
        while step is not None and step.f_code is not run.__code__:
            chain.append(step)
            step = step.f_back
        for inner in chain:
            owner = inner.f_locals.get("self") if frames.is_torch(inner.f_code) else None
            if call.layer is None and id(owner) in self.paths:
                call.layer = self.paths[id(owner)]
            if not frames.is_transparent(inner.f_code):
                break
        scope = self.tape.root
        for position in range(len(chain) - 1, -1, -1):
            if not frames.is_transparent(chain[position].f_code):
                scope = self.scope(chain, position, scope)
        call.scope, call.written = scope, self.written(chain, Scope(scope))
        call.operands = frames.argument_names(chain, is_method=call.name.startswith("Tensor."))

    def scope(self, chain: list[FrameType], position: int, parent: Scope) -> Scope:
        frame = chain[position]
        if id(frame) in self.scopes:
            return self.scopes[id(frame)]
        code = frame.f_code
        first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        path = self.paths.get(id(first))
        is_method = path is not None or code.co_varnames[:1] == ("self",)
        where = f"{frames.os.path.basename(code.co_filename)}:{code.co_firstlineno}"
        if frames.is_torch(code):
            where = "torch.nn" if code.co_filename == frames.NORMS else "torch.distributions"
            where += f".{type(first).__name__}" if is_method else ""
        scope = Scope(parent, code.co_name, type(first).__name__ if is_method else None, path, where, code=code)
        for argument in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            self.name_argument(scope, argument, frame.f_locals.get(argument))
        scope.site = self.written(chain[position + 1 :], scope)
        scope.called = frames.location(frame.f_back)
        self.scopes[id(frame)] = scope
        self.alive.append(frame)
        return scope

    def name_argument(self, scope: Scope, argument: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            if id(value) in self.refs:
                scope.arguments.setdefault(self.refs[id(value)], argument)
        elif isinstance(value, list | tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if isinstance(item, torch.Tensor) and id(item) in self.refs:
                    name = str(key) if isinstance(value, dict) else element_name(scope.code, argument, key, len(value))
                    scope.arguments.setdefault(self.refs[id(item)], name)

    def written(self, chain: list[FrameType], scope: Scope) -> Written | None:
        """The statement that receives what `scope`, which is inside of its function, computes."""
        found = frames.naming_frame(chain)
        if found is None or id(found[0]) not in self.scopes:
            return None
        frame, names, one_by_one = found
        if not (one_by_one and isinstance(names, list)):
            return Written(self.scopes[id(frame)], names)
        receiver = self.scopes[id(frame)]
        while scope.parent is not receiver:
            scope = scope.parent
        came = self.turns.setdefault((id(frame), frame.f_lasti), [])
        if scope not in came:
            came.append(scope)
        return Written(receiver, names, came.index(scope) % len(names))

    def profile(self, frame: FrameType, event: str, value: Any) -> None:
        """Notes what a scope returns, for the order and the names of its results."""
        if event != "return" or value is None or id(frame) not in self.scopes:
            return
        scope = self.scopes[id(frame)]
        elements = value if isinstance(value, tuple | list) else [value]
        scope.outline = [self.refs.get(id(item)) if isinstance(item, torch.Tensor) else None for item in elements]
        scope.returned = [self.refs[id(tensor)] for tensor in tensors(value) if id(tensor) in self.refs]
        if isinstance(value, dict):
            items: Iterable[tuple[Any, Any]] = value.items()
        else:
            items = [(name, getattr(value, name)) for name in getattr(value, "__dataclass_fields__", ())]
        for key, tensor in items:
            if isinstance(tensor, torch.Tensor) and id(tensor) in self.refs:
                scope.keys[self.refs[id(tensor)]] = str(key)


def element_name(code: Any, argument: str, number: int, count: int) -> str:
    """What a function calls an element of a tuple that it is handed."""
    names = frames.unpacked_names(code, argument)
    known = len(names) == count and isinstance(names[number], str) and names[number] != "_"
    return names[number] if known else f"{argument}_{number}"


def run(recorder: Recorder, call: Callable[..., Any], module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """Runs an entry point under the recorder."""
    before, recorder.generator = sys.getprofile(), torch.get_rng_state()
    with whole_autograd_functions(), shortened(), kept_surroundings(), recorder:
        if recorder.with_scopes:
            sys.setprofile(recorder.profile)
        try:
            return call(module, *inputs)
        finally:
            sys.setprofile(before if callable(before) else None)  # a C profiler cannot be put back


def spread_size(short: str, args: Any) -> tuple[Any, ...]:
    """The arguments of `x.new(size)` as `x.new(*size)`: a plain tuple in the place of the size would be data."""
    if short == "new" and len(args) == 2 and isinstance(args[1], torch.Size):
        return (args[0], *args[1])
    return tuple(args)


def storage_of(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return id(tensor)


def version_of(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
