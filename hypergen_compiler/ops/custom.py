"""The user's own `torch.autograd.Function`s: their classes are copied into the package, where they must stand alone."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterable
from typing import Any

import torch.fx

from hypergen_compiler.emit.names import identifier
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.ops.expression import Expression

__all__ = ["autograd_classes", "print_apply"]

IMPORTED = {"torch", "F", "Tensor"}  # what a generated model.py has at hand


def print_apply(function: Any, arguments: Iterable[Expression]) -> Expression:
    """`Round.apply(x)`; torch's own functions by their full names."""
    cls = function.autograd_function
    name = f"{cls.__module__}.{cls.__qualname__}" if is_torchs(cls) else identifier(cls.__name__, "Function")
    return Expression(f"{name}.apply({', '.join(argument.text for argument in arguments)})")


def autograd_classes(graphs: Iterable[torch.fx.Graph]) -> dict[str, str]:
    """The source of every autograd function that the graphs apply, by printed name, in order of use.

    Raises HG401 for a class whose source is not at hand or that needs names of its own module.
    """
    found: dict[str, tuple[type, str]] = {}
    for graph in graphs:
        for node in graph.nodes:
            cls = getattr(node.target, "autograd_function", None)
            if cls is None or is_torchs(cls):
                continue
            name = identifier(cls.__name__, "Function")
            if found.setdefault(name, (cls, ""))[0] is not cls:
                raise refusal(cls, "shares its name with another", node)
            found[name] = (cls, source(cls, node))
    return {name: text for name, (_, text) in found.items()}


def is_torchs(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "torch"


def source(cls: type, node: torch.fx.Node) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(cls)).rstrip()
    except (OSError, TypeError):
        raise refusal(cls, "has no source that could be copied", node) from None
    missing = sorted(free_names(ast.parse(text)) - IMPORTED - {cls.__name__})
    if missing:
        raise refusal(cls, f"uses {', '.join(missing)} of its own module", node)
    return text


def free_names(tree: ast.Module) -> set[str]:
    """Names that a class reads and does not define."""
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
        remedy="Let the class need nothing but `torch` and `F` (torch.nn.functional), or write the operation with "
        "ordinary functions and `detach()`.",
    )
