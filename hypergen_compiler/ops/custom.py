"""The user's own `torch.autograd.Function`s: their classes are copied into the package, with what they need."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import operator
import sys
import textwrap
from collections.abc import Iterable
from functools import cache, reduce
from types import FunctionType, ModuleType
from typing import Any

import torch.fx

from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.ops.expression import Expression
from hypergen_compiler.where import in_standard_library

__all__ = ["autograd_classes", "print_apply", "stands_alone"]

AT_HAND: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "Tensor": torch.Tensor, "math": math}


class NotAlone(Exception):
    """Something that a class needs and that cannot be copied with it."""


def print_apply(function: Any, arguments: Iterable[Expression]) -> Expression:
    """`Round.apply(x)`; torch's own functions by their full names."""
    cls = function.autograd_function
    name = f"{cls.__module__}.{cls.__qualname__}" if is_torchs(cls) else identifier(cls.__name__, "Function")
    return Expression(f"{name}.apply({', '.join(argument.text for argument in arguments)})")


def stands_alone(cls: type) -> bool:
    """Whether a class can be copied into a package."""
    try:
        return is_torchs(cls) or bool(copied(cls))
    except NotAlone:
        return False


def autograd_classes(graphs: Iterable[torch.fx.Graph]) -> dict[str, str]:
    """The source of every autograd function that the graphs apply and of what it needs, by printed name, needed first.

    Raises HG401 for a class whose source is not at hand or that needs what cannot be copied.
    """
    found: dict[str, tuple[Any, str]] = {}
    for graph in graphs:
        for node in graph.nodes:
            cls = getattr(node.target, "autograd_function", None)
            if cls is None or is_torchs(cls):
                continue
            try:
                parts = copied(cls)
            except NotAlone as reason:
                raise refusal(cls, str(reason), node) from None
            for item, text in parts.items():
                name = identifier(item.__name__, "Function")
                if found.setdefault(name, (item, text))[0] is not item:
                    raise refusal(cls, "shares a name with another", node)
    return {name: text for name, (_, text) in found.items()}


def is_torchs(item: Any) -> bool:
    return (getattr(item, "__module__", None) or "").partition(".")[0] == "torch"


@cache
def copied(cls: type) -> dict[Any, str]:
    """The texts of a class and of the functions and classes of its module that it needs, needed first."""
    found: dict[Any, str] = {}
    copy(cls, found)
    return dict(reversed(found.items()))


def copy(item: Any, found: dict[Any, str]) -> None:
    if item in found:
        return
    try:
        text = textwrap.dedent(inspect.getsource(item)).rstrip()
    except (OSError, TypeError):
        raise NotAlone("has no source that could be copied") from None
    text = without_annotations(text)
    tree = ast.parse(text)
    surroundings = vars(sys.modules[item.__module__])
    names = free_names(tree) - {item.__name__}
    missing = sorted(name for name in names if name not in surroundings)
    if missing or "<locals>" in item.__qualname__:
        raise NotAlone(f"uses {', '.join(missing) or 'what surrounds it'} of its own module")
    found[item] = ""
    printed = {name: expression(name, surroundings[name], found) for name in names}
    unknown = sorted(name for name, text in printed.items() if text is None)
    if unknown:
        raise NotAlone(f"uses {', '.join(unknown)} of its own module")
    found[item] = renamed(text, tree, {name: new for name, new in printed.items() if new and new != name})


def expression(name: str, value: Any, found: dict[Any, str]) -> str | None:
    """What a name of the user's module is in the package; what it needs is copied. None where it cannot be."""
    if AT_HAND.get(name) is value:
        return name
    if value is None or isinstance(value, bool | int | float | str):
        return literal(value)
    known = next((short for short, item in AT_HAND.items() if item is value), None)
    if known is not None or isinstance(value, ModuleType):
        return known or (value.__name__ if value.__name__.startswith("torch.") else None)
    if is_torchs(value):
        full = f"{value.__module__}.{getattr(value, '__qualname__', '')}"
        return full if public(full) is value else None
    is_own = isinstance(value, FunctionType) and not value.__closure__ and not in_standard_library(file_of(value))
    if (is_own or (isinstance(value, type) and issubclass(value, torch.autograd.Function))) and value.__name__ == name:
        copy(value, found)
        return name
    return None


def file_of(function: FunctionType) -> str:
    return inspect.unwrap(function).__code__.co_filename


def public(name: str) -> Any:
    """What a dotted name of torch stands for; None where it has a private part or is nothing."""
    parts = name.split(".")[1:]
    if any(part.startswith("_") for part in parts):
        return None
    try:
        return reduce(getattr, parts, torch)
    except AttributeError:
        return None


def without_annotations(text: str) -> str:
    """The text without annotations that need names of their module, such as those of `typing`."""
    lines = [line.encode() for line in text.split("\n")]
    spans = []
    for node in ast.walk(ast.parse(text)):
        note = node.returns if isinstance(node, ast.FunctionDef) else getattr(node, "annotation", None)
        if isinstance(node, ast.arg | ast.FunctionDef) and note and free_names(note) - AT_HAND.keys():
            spans.append((note.lineno, note.col_offset, note.end_lineno, note.end_col_offset))
    for line, start, last, end in sorted(spans, reverse=True):
        before = lines[line - 1][:start].rstrip()
        before = before.removesuffix(b"->").removesuffix(b":").rstrip()
        lines[line - 1 : last] = [before + lines[last - 1][end:]]
    return b"\n".join(lines).decode()


def renamed(text: str, tree: ast.Module, names: dict[str, str]) -> str:
    """The text with names replaced where they are read, from the last to the first."""
    lines = [line.encode() for line in text.split("\n")]  # columns count bytes
    read = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names]
    for node in sorted(read, key=operator.attrgetter("lineno", "col_offset"), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + names[node.id].encode() + line[node.end_col_offset :]
    return b"\n".join(lines).decode()


def free_names(tree: ast.AST) -> set[str]:
    """Names that a class or function reads and does not define."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {node.id for node in names} - bound - set(dir(builtins))


def refusal(cls: type, what: str, node: torch.fx.Node) -> HyperGenError:
    return HyperGenError(
        "HG401",
        f"the autograd function {cls.__name__} {what}",
        where=node.meta.get("where"),
        remedy="Let the class need nothing but torch and functions of its own module, or write the operation with "
        "ordinary functions and `detach()`.",
    )
