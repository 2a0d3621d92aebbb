"""The functions of an emitted model, read from its text: where they came from, and what flows through them.

The model is `model.py`, or in a package of one file the part of it that was `model.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["Function", "Statement", "functions", "model_file"]

ORIGIN = re.compile(r"\((?P<file>[^()\s]+\.py):(?P<line>\d+)\)\s*$")

RULE = "# " + "-" * 118  # above each part of a package of one file
TITLE = re.compile(r"# .* as pure functions of its weights\.")


@dataclass(frozen=True)
class Statement:
    """One simple statement: the variables that it reads and gives, the emitted functions that it calls, its lines."""

    text: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    calls: tuple[str, ...]
    line: int
    end: int


@dataclass(frozen=True)
class Function:
    """`shapes` is the docstring's first part, `origin` the user's file and line where the docstring has them."""

    name: str
    inputs: tuple[str, ...]
    shapes: str
    origin: tuple[str, int] | None
    line: int
    statements: tuple[Statement, ...]

    @property
    def calls(self) -> tuple[str, ...]:
        """The emitted functions that it calls, in order, each once."""
        return tuple(dict.fromkeys(name for statement in self.statements for name in statement.calls))


def model_file(name: str, paths: Collection[str]) -> str:
    """Which of a package's files holds the model."""
    return f"{name}.py" if f"{name}.py" in paths and "model.py" not in paths else "model.py"


def functions(text: str) -> dict[str, Function]:
    """Every function of a model by name; nothing for a text that is no Python, as an edited one may be."""
    lines = model_lines(text)
    try:
        found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.lineno in lines]
    except SyntaxError:
        return {}
    names = {node.name for node in found}
    return {node.name: function(node, names) for node in found}


def model_lines(text: str) -> range:
    """The lines of the model's part of a package of one file; of any other text all of them."""
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines, start=1) if line == RULE]
    start = next((number for number in rules if number < len(lines) and TITLE.fullmatch(lines[number])), 0)
    return range(start, next((number for number in rules if number > start > 0), len(lines) + 1))


def function(node: ast.FunctionDef, names: set[str]) -> Function:
    words = (ast.get_docstring(node) or "").partition("\n")[0]
    origin = ORIGIN.search(words)
    inputs = tuple(argument.arg for argument in node.args.args if argument.arg not in ("w", "state", "training"))
    place = (origin["file"], int(origin["line"])) if origin else None
    shapes = ORIGIN.sub("", words).strip()
    return Function(node.name, inputs, shapes, place, node.lineno, tuple(statements(node.body, names)))


def statements(body: list[ast.stmt], names: set[str]) -> Iterator[Statement]:
    """Simple statements in order; of a loop or a condition its head, then what is inside."""
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.For):
            yield statement(node, [node.target, node.iter], names)
        elif isinstance(node, ast.If):
            yield statement(node, [node.test], names)
        elif isinstance(node, ast.With):
            yield statement(node, [item.context_expr for item in node.items], names)
        else:
            yield statement(node, [node], names)
        yield from statements(getattr(node, "body", []), names)
        yield from statements(getattr(node, "orelse", []), names)


def statement(node: ast.stmt, parts: list[ast.AST], names: set[str]) -> Statement:
    used = [name for part in parts for name in ast.walk(part) if isinstance(name, ast.Name)]
    reads = dict.fromkeys(name.id for name in used if isinstance(name.ctx, ast.Load) and name.id not in names)
    gives = dict.fromkeys(name.id for name in used if isinstance(name.ctx, ast.Store))
    calls = [name.id for name in used if isinstance(name.ctx, ast.Load) and name.id in names]
    head = ast.unparse(node).partition("\n")[0]
    body = getattr(node, "body", None)
    end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    return Statement(head, tuple(reads), tuple(gives), tuple(calls), node.lineno, max(end, node.lineno))
