"""The user's functions that a package was recorded from, where the model can be rebuilt from the manifest."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from hypergen_compiler.emit.files import emitted_lines
from hypergen_compiler.errors import HyperGenError, HyperGenWarning, ignore
from hypergen_compiler.inspection.functions import functions, model_file
from hypergen_compiler.inspection.lines import Origins, lines_behind, scope_files
from hypergen_compiler.owning.recompile import recompiled

__all__ = ["Behind", "Excerpt", "behind", "excerpts"]


@dataclass(frozen=True)
class Excerpt:
    """One function of the user's: `first` is the number of its first line in `file`, `line` the recorded one."""

    file: str
    line: int
    first: int
    text: str


@dataclass(frozen=True)
class Behind:
    """What lies behind a package: the user's `files` by name, and the lines behind those of the emitted model."""

    files: Mapping[str, Path] = field(default_factory=dict)
    lines: Origins = field(default_factory=dict)


def behind(manifest: Mapping[str, Any], texts: Mapping[str, str]) -> Behind:
    """Compiles the package again to know where each line of its model came from; `texts` are its Python files.

    Nothing is known where that is not possible.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HyperGenWarning)
            built = recompiled(manifest, ignore)
    except HyperGenError:
        return Behind()
    found = built.design
    files = {path.name: path for path in map(source_file, kinds_of(found.model)) if path is not None}
    home = model_file(manifest["name"], texts)
    compiled = functions(built.files.get(home, b"").decode())
    recorded = emitted_lines(found.program, found.layout, found.plan, found.together)
    named = dict(zip(compiled, recorded.values(), strict=False))  # in one file some have other names, in this order
    known = functions(texts.get(home, ""))
    return Behind(scope_files(found.program) | files, lines_behind(known, compiled, named))


def kinds_of(model: nn.Module) -> set[type]:
    """The classes of a model's modules, torch's own left out."""
    kinds = {base for module in model.modules() for base in type(module).__mro__}
    return {kind for kind in kinds if not kind.__module__.startswith("torch.")}


def source_file(kind: type) -> Path | None:
    try:
        file = inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return None
    return Path(file) if file is not None else None


def excerpts(origins: Iterable[tuple[str, int]], files: Mapping[str, Path]) -> list[Excerpt]:
    """The functions in which lines lie, by file and line; lines of no known file are left out.

    Where several lines lie in one function, it is there once, by the first of them that is given.
    """
    found, known = [], set()
    for file, line in dict.fromkeys(origins):
        if file in files:
            text = files[file].read_text(encoding="utf-8")
            node = enclosing(ast.parse(text), line)
            if node is not None and (file, node.lineno) not in known:
                known.add((file, node.lineno))
                lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
                found.append(Excerpt(file, line, node.lineno, "\n".join(lines) + "\n"))
    return sorted(found, key=lambda excerpt: (excerpt.file, excerpt.line))


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
