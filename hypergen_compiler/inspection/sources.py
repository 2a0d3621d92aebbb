"""The user's functions that a package was recorded from, where the model can be rebuilt from the manifest."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.rebuild import rebuild_model

__all__ = ["Excerpt", "excerpts", "model_files"]


@dataclass(frozen=True)
class Excerpt:
    """One function of the user's: `first` is the number of its first line in `file`, `line` the recorded one."""

    file: str
    line: int
    first: int
    text: str


def model_files(manifest: Mapping[str, Any]) -> dict[str, Path]:
    """Name to path of the source files of the model's classes; none where it cannot be rebuilt."""
    try:
        model = rebuild_model(manifest)
    except HyperGenError:
        return {}
    found: dict[str, Path] = {}
    for kind in {base for module in model.modules() for base in type(module).__mro__}:
        try:
            file = inspect.getsourcefile(kind)
        except (TypeError, OSError):
            continue
        if file is not None and not kind.__module__.startswith("torch."):
            found[Path(file).name] = Path(file)
    return found


def excerpts(origins: Iterable[tuple[str, int]], files: Mapping[str, Path]) -> list[Excerpt]:
    """The functions in which the recorded lines lie, by file and line; lines of no known file are left out."""
    found = []
    for file, line in sorted(set(origins)):
        if file in files:
            text = files[file].read_text(encoding="utf-8")
            node = enclosing(ast.parse(text), line)
            if node is not None:
                lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
                found.append(Excerpt(file, line, node.lineno, "\n".join(lines) + "\n"))
    return found


def enclosing(tree: ast.Module, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The innermost function around a line, its decorators included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and min([node.lineno, *(d.lineno for d in node.decorator_list)]) <= line <= (node.end_lineno or 0)
    ]
    return max(around, key=lambda node: node.lineno, default=None)
