"""What the Python stack says about a running call: which of the user's functions it is in, what they call its result.

`co_positions()` of the calling instruction, matched to the source's syntax tree, tells whether this very expression is
the right side of an assignment. On Python 3.10, which has no positions, results keep names of their own.
"""

from __future__ import annotations

import dis
import os
from functools import cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from hypergen_compiler.capture.statements import ELEMENT, RETURNED, statements
from hypergen_compiler.where import is_foreign, is_ours

__all__ = [
    "argument_names",
    "called_variable",
    "is_guard",
    "is_reflected",
    "is_transparent",
    "is_users",
    "location",
    "naming_frame",
    "targets",
    "unpacked_names",
]

TORCH = os.path.dirname(torch.__file__) + os.sep
DISTRIBUTIONS = os.path.join(TORCH, "distributions") + os.sep
NORMS = os.path.join(TORCH, "nn", "modules", "batchnorm.py")
OVERRIDES = os.path.join(TORCH, "overrides.py")
# Files of torch that only pass a call on to the recorder.
DISPATCHING = frozenset(
    [
        OVERRIDES,
        *(os.path.join(TORCH, *parts) for parts in (("_tensor.py",), ("functional.py",), ("nn", "functional.py"))),
    ]
)
OPCODES_OF_CALLS = frozenset({"CALL", "PRECALL", "CALL_KW", "CALL_FUNCTION_EX"})
TRANSPARENT_WRAPPERS = frozenset(
    "_call_impl _wrapped_call_impl inner decorate_context wrapper handle_torch_function checkpoint _fn apply fn".split()
)


def is_torch(code: CodeType) -> bool:
    return code.co_filename.startswith(TORCH)


def is_users(code: CodeType) -> bool:
    """Whether code is neither torch's nor the standard library's nor HyperGen's."""
    return is_foreign(code.co_filename) and not is_torch(code)


@cache
def is_transparent(code: CodeType) -> bool:
    """Whether a frame of this code is no scope: torch, the standard library, HyperGen itself, lambdas.

    A batch normalisation counts its batches and normalises: that is a function, as it is in torch. So are the methods
    of torch's distributions.
    """
    if code.co_filename == NORMS:
        return code.co_name != "forward"
    if code.co_filename.startswith(DISTRIBUTIONS):
        return code.co_name.startswith("<")
    return is_torch(code) or not is_foreign(code.co_filename) or code.co_name.startswith("<")


def location(frame: FrameType | None) -> str | None:
    """`file:line` of the innermost frame that is the user's, the file without its folder."""
    while frame is not None:
        if is_users(frame.f_code):
            return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def naming_frame(frames: list[FrameType]) -> tuple[FrameType, Any, bool] | None:
    """The frame whose statement receives the value being computed, and its targets; `return f(...)` is followed.

    The third tells whether the statement takes values one by one, as `q, k, v = map(f, parts)` does.
    """
    is_element = False
    for inner, frame in zip((None, *frames), frames, strict=False):
        code = frame.f_code
        dispatches = inner is not None and inner.f_code.co_filename == OVERRIDES
        if is_ours(code.co_filename) or (is_torch(code) and (dispatches or code.co_name in TRANSPARENT_WRAPPERS)):
            continue
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Sequential) and is_torch(code):
            if frame.f_locals.get("module") is list(owner)[-1]:
                continue
            return None
        found = targets(frame)
        if found in (RETURNED, ELEMENT):
            is_element = is_element or found == ELEMENT
            continue
        if found is None or (is_torch(code) and "distributions" not in code.co_filename):
            return None
        if is_element and not isinstance(found, list):
            return None
        return frame, found, is_element or dis.opname[code.co_code[frame.f_lasti]].startswith("UNPACK")
    return None


def targets(frame: FrameType) -> Any:
    """What the frame's current expression is assigned to: a name, a list of names, RETURNED, or None."""
    positions = instruction_positions(frame.f_code)
    if not positions:
        return None
    return statements(frame.f_code).targets.get(positions[frame.f_lasti // 2])


def is_reflected(frame: FrameType) -> bool:
    """Whether the frame's current expression has its number on the left, as in `1 + x`, which Python hands to x."""
    positions = instruction_positions(frame.f_code)
    if not positions:
        return False
    place, known = positions[frame.f_lasti // 2], statements(frame.f_code)
    if place in known.reflected:
        return True
    owner, *attribute = known.left.get(place) or ("",)
    value = frame.f_locals.get(owner)
    for name in attribute:
        value = getattr(value, "__dict__", {}).get(name)  # a property is not run
    return isinstance(value, int | float)


def is_guard(frame: FrameType | None) -> bool:
    """Whether the frame's current expression only decides if an error is raised, as in an assertion."""
    while frame is not None and frame.f_code.co_filename in DISPATCHING:
        frame = frame.f_back
    guards = statements(frame.f_code).guards if frame else {}
    if not frame or not guards:
        return False
    positions = instruction_positions(frame.f_code)
    if not positions:
        return any(first <= frame.f_lineno <= last for first, last, _, _ in guards.values())
    place = positions[frame.f_lasti // 2]  # the whole statement for its own jump, in some versions of Python
    first, last, start, end = place
    inside = ((a, c) <= (first, start) and (last, end) <= (b, d) for a, b, c, d in guards.values())
    return place in guards or any(inside)


def argument_names(frames: list[FrameType], *, is_method: bool) -> dict[int | str, str]:
    """What the user calls the arguments of the running call, where they are variables or attributes."""
    frame = next((frame for frame in frames if frame.f_code.co_filename not in DISPATCHING), None)
    positions = instruction_positions(frame.f_code) if frame else ()
    if not positions:
        return {}
    names = statements(frame.f_code).operands.get(positions[frame.f_lasti // 2], {})
    is_call = OPCODES_OF_CALLS & {dis.opname[frame.f_code.co_code[frame.f_lasti]]}
    return {key + 1 if is_method and is_call and isinstance(key, int) else key: name for key, name in names.items()}


def called_variable(frame: FrameType) -> str | None:
    """The variable that the frame's current expression calls, if that is what it does."""
    positions = instruction_positions(frame.f_code)
    return statements(frame.f_code).callees.get(positions[frame.f_lasti // 2]) if positions else None


def unpacked_names(code: CodeType, variable: str) -> list[Any]:
    """The names that a function's statement takes one of its variables apart into, if it has one."""
    found = statements(code).unpacked.get(variable)
    return found if isinstance(found, list) else []


@cache
def instruction_positions(code: CodeType) -> tuple[Any, ...]:
    return tuple(code.co_positions()) if hasattr(code, "co_positions") else ()
