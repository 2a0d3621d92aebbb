"""Where the calls of a run stand in the user's code: in which function and layer, and under which names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from hypergen_compiler.capture import frames
from hypergen_compiler.capture.seen import Seen
from hypergen_compiler.capture.tape import Call, Scope, Written, tensors

__all__ = ["Places"]


class Places:
    """The scopes of a run, by the identity of their frames; `outermost` is the code that runs the entry point."""

    def __init__(self, module: nn.Module, seen: Seen, outermost: CodeType):
        self.seen, self.outermost = seen, outermost
        self.scopes: dict[int, Scope] = {}
        self.turns: dict[tuple[int, int], list[Scope]] = {}
        self.paths = {id(child): path for path, child in module.named_modules()}

    def place(self, call: Call, frame: FrameType) -> None:
        """Finds the call's scope, the layer of torch's own that it belongs to, and the name of its result."""
        chain: list[FrameType] = []
        step: FrameType | None = frame
        while step is not None and step.f_code is not self.outermost:
            chain.append(step)
            step = step.f_back
        for inner in chain:
            owner = inner.f_locals.get("self") if frames.is_torch(inner.f_code) else None
            if call.layer is None and id(owner) in self.paths:
                call.layer = self.paths[id(owner)]
            if not frames.is_transparent(inner.f_code):
                break
        scope = self.seen.tape.root
        for position in range(len(chain) - 1, -1, -1):
            if not frames.is_transparent(chain[position].f_code):
                scope = self.scope(chain, position, scope)
        call.callee = self.callee(chain, call.layer)
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
        where = f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"
        if frames.is_torch(code):
            where = "torch.nn" if code.co_filename == frames.NORMS else "torch.distributions"
            where += f".{type(first).__name__}" if is_method else ""
        scope = Scope(parent, code.co_name, type(first).__name__ if is_method else None, path, where, code=code)
        for argument in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            self.name_argument(scope, argument, frame.f_locals.get(argument))
        for variable, value in frame.f_locals.items():  # what was taken from arguments before the first call
            if isinstance(value, torch.Tensor):
                self.name_argument(scope, variable, value)
        scope.site = self.written(chain[position + 1 :], scope)
        scope.called = frames.location(frame.f_back)
        scope.callee = self.callee(chain[position + 1 :], path)
        self.scopes[id(frame)] = scope
        self.seen.alive.append(frame)
        return scope

    def callee(self, chain: list[FrameType], path: str | None) -> str | None:
        """The variable by which the user calls the module of a path, or a container that it is in."""
        frame = next((frame for frame in chain if frames.is_users(frame.f_code)), None)
        name = frames.called_variable(frame) if frame is not None and path is not None else None
        called = self.paths.get(id(frame.f_locals.get(name))) if name is not None else None
        return name if called is not None and f"{path}.".startswith(f"{called}.") else None

    def name_argument(self, scope: Scope, argument: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            if id(value) in self.seen.refs:
                scope.arguments.setdefault(self.seen.refs[id(value)], argument)
        elif isinstance(value, list | tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if isinstance(item, torch.Tensor) and id(item) in self.seen.refs:
                    name = str(key) if isinstance(value, dict) else element_name(scope.code, argument, key, len(value))
                    scope.arguments.setdefault(self.seen.refs[id(item)], name)

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
        scope.outline = [self.seen.refs.get(id(item)) if isinstance(item, torch.Tensor) else None for item in elements]
        scope.returned = [self.seen.refs[id(tensor)] for tensor in tensors(value) if id(tensor) in self.seen.refs]
        if isinstance(value, dict):
            items: Iterable[tuple[Any, Any]] = value.items()
        else:
            items = [(name, getattr(value, name)) for name in getattr(value, "__dataclass_fields__", ())]
        for key, tensor in items:
            if isinstance(tensor, torch.Tensor) and id(tensor) in self.seen.refs:
                scope.keys[self.seen.refs[id(tensor)]] = str(key)


def element_name(code: Any, argument: str, number: int, count: int) -> str:
    """What a function calls an element of a tuple that it is handed."""
    names = frames.unpacked_names(code, argument)
    known = len(names) == count and isinstance(names[number], str) and names[number] != "_"
    return names[number] if known else f"{argument}_{number}"
