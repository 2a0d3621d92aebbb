"""What the Python stack says about a running call: which of the user's functions it is in, what they call its result.

`co_positions()` of the calling instruction, matched to the source's syntax tree, tells whether this very expression is
the right side of an assignment. On Python 3.10, which has no positions, results keep names of their own.
"""

from __future__ import annotations

import ast
import linecache
import os
from functools import cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from hypergen_compiler.where import is_foreign, is_ours

__all__ = ["RETURNED", "is_reflected", "is_transparent", "location", "naming_frame", "targets"]

TORCH = os.path.dirname(torch.__file__) + os.sep
RETURNED = "return"
TRANSPARENT_WRAPPERS = frozenset(
    "_call_impl _wrapped_call_impl inner decorate_context wrapper handle_torch_function checkpoint _fn apply fn".split()
)


def is_torch(code: CodeType) -> bool:
    return code.co_filename.startswith(TORCH)


@cache
def is_transparent(code: CodeType) -> bool:
    """Whether a frame of this code is no scope: torch, the standard library, HyperGen itself, lambdas."""
    return is_torch(code) or not is_foreign(code.co_filename) or code.co_name.startswith("<")


def location(frame: FrameType | None) -> str | None:
    """`file:line` of the innermost frame that is the user's, the file without its folder."""
    while frame is not None:
        if is_foreign(frame.f_code.co_filename) and not is_torch(frame.f_code):
            return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def naming_frame(frames: list[FrameType]) -> tuple[FrameType, Any] | None:
    """The frame whose statement receives the value being computed, and its targets; `return f(...)` is followed."""
    for frame in frames:
        code = frame.f_code
        if is_ours(code.co_filename) or (is_torch(code) and code.co_name in TRANSPARENT_WRAPPERS):
            continue
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Sequential) and is_torch(code):
            if frame.f_locals.get("module") is list(owner)[-1]:
                continue
            return None
        found = targets(frame)
        if found == RETURNED:
            continue
        if found is None or (is_torch(code) and "distributions" not in code.co_filename):
            return None
        return frame, found
    return None


def targets(frame: FrameType) -> Any:
    """What the frame's current expression is assigned to: a name, a list of names, RETURNED, or None."""
    positions = instruction_positions(frame.f_code)
    if not positions:
        return None
    return assignments(frame.f_code.co_filename).get(positions[frame.f_lasti // 2])


def is_reflected(frame: FrameType) -> bool:
    """Whether the frame's current expression has its number on the left, as in `1 + x`, which Python hands to x."""
    positions = instruction_positions(frame.f_code)
    if not positions:
        return False
    return positions[frame.f_lasti // 2] in numbers_first(frame.f_code.co_filename)


@cache
def numbers_first(file: str) -> frozenset[tuple[int | None, ...]]:
    """The spans of all operations of a file whose left side is a number and whose right side is none."""
    operations = (node for node in ast.walk(syntax_tree(file)) if isinstance(node, ast.BinOp))
    return frozenset(span(node) for node in operations if is_number(node.left) and not is_number(node.right))


def is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return is_number(node.left) and is_number(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


@cache
def syntax_tree(file: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


@cache
def instruction_positions(code: CodeType) -> tuple[Any, ...]:
    return tuple(code.co_positions()) if hasattr(code, "co_positions") else ()


@cache
def assignments(file: str) -> dict[tuple[int | None, ...], Any]:
    """{span of an expression: what it is assigned to} for every statement of a file."""
    found: dict[tuple[int | None, ...], Any] = {}
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.Assign):
            assign(found, node.value, names_of(node.targets[0]))
            if isinstance(node.targets[0], ast.Tuple | ast.List):
                found[span(node.targets[0])] = names_of(node.targets[0])
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            assign(found, node.value, names_of(node.target))
        elif isinstance(node, ast.AugAssign):
            found[span(node)] = names_of(node.target)
        elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Tuple):
            assign(found, node.value, RETURNED)
        elif isinstance(node, ast.Lambda):
            assign(found, node.body, RETURNED)
    return found


def assign(found: dict[tuple[int | None, ...], Any], value: ast.expr, names: Any) -> None:
    found[span(value)] = names
    if isinstance(names, list) and isinstance(value, ast.Tuple) and len(value.elts) == len(names):
        for element, name in zip(value.elts, names, strict=True):
            assign(found, element, name)
    if isinstance(value, ast.IfExp):
        assign(found, value.body, names)
        assign(found, value.orelse, names)


def span(node: Any) -> tuple[int | None, ...]:
    return (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)


def names_of(target: ast.expr) -> Any:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Tuple | ast.List):
        return [names_of(element) for element in target.elts]
    return None
