"""The tensors that a run has seen: what each is called on the tape, and in whose memory it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from hypergen_compiler.capture.state import named_state, named_weights, unprintable
from hypergen_compiler.capture.tape import Ref, Tape
from hypergen_compiler.errors import HyperGenError

__all__ = ["Seen"]

SHORT = 32  # elements of an array that is written as a list


class Seen:
    """`refs` are the tape's names by identity, `alive` is what must outlive the run for identities to stay unique."""

    def __init__(self, tape: Tape):
        self.tape = tape
        self.refs: dict[int, Ref] = {}
        self.alive: list[Any] = []
        self.joined: dict[int, int] = {}
        self.arrays: dict[int, torch.Tensor] = {}

    def see_module(self, module: nn.Module) -> None:
        for name, weight in named_weights(module).items():
            self.see(weight, Ref("parameter", name))
        for name, buffer in named_state(module).items():
            self.see(buffer, Ref("buffer", name))

    def see(self, tensor: torch.Tensor, ref: Ref) -> Ref:
        self.refs[id(tensor)] = ref
        self.alive.append(tensor)  # storages stay unique only while their owners live
        self.tape.shapes[ref], self.tape.dtypes[ref] = tuple(tensor.shape), tensor.dtype
        self.tape.storages[ref] = self.memory_of(tensor)
        return ref

    def argument(self, value: Any, where: str | None) -> Any:
        """What the tape has in the place of an argument; a tensor that no call made is a constant, met at `where`."""
        if isinstance(value, torch.Tensor):
            return self.refs[id(value)] if id(value) in self.refs else self.constant(value, where)
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            return value.item()
        if isinstance(value, np.ndarray):  # an index, as a permutation is
            is_short = value.ndim == 1 and value.size <= SHORT and value.dtype.kind in "iub"
            return value.tolist() if is_short else self.argument(self.tensor_of(value), where)
        return value

    def constant(self, tensor: torch.Tensor, where: str | None) -> Ref:
        if problem := unprintable(tensor):
            remedy = "Keep it dense, and convert it where it is used."
            raise HyperGenError("HG402", f"a tensor {problem}", where=where, remedy=remedy)
        ref = Ref("constant", len(self.tape.constants))
        known = {storage for other, storage in self.tape.storages.items() if other.kind != "constant"}
        if self.memory_of(tensor) in known:
            self.tape.aliases.add(ref)
        self.tape.constants[ref] = tensor.detach().clone()
        self.tape.constant_ids.add(id(tensor))
        self.tape.constant_places[ref] = where
        return self.see(tensor, ref)

    def tensor_of(self, array: np.ndarray[Any, Any]) -> torch.Tensor:
        """The same tensor each time."""
        if id(array) not in self.arrays:
            self.alive.append(array)
            self.arrays[id(array)] = torch.from_numpy(array)
        return self.arrays[id(array)]

    def result(self, value: Any) -> Any:
        """What the tape has in the place of a result."""
        if not isinstance(value, torch.Tensor):
            return value
        return self.refs.get(id(value)) or self.see(value, Ref("value", len(self.tape.shapes)))

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


def storage_of(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return id(tensor)
