"""Mutants of a module: its text with one small mistake each, such as `<` for `<=` or a statement left out."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "count", "mutant"]

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
Change = Callable[[Any], None]
SILENT = ("HyperGenError", "Violation", "frozenset")  # whose texts are prose, or names that a table lists


@dataclass(frozen=True)
class Mutant:
    """One mistake: the module's text with it, its line, and what became of what.

    `statement` are the lines of the statement that holds it, and `function` the names of the function in whose body it
    is, behind its class's; none where it is run on import.
    """

    text: str
    line: int
    what: str
    statement: range
    function: tuple[str, ...]


def count(text: str) -> int:
    """How many mutants a module has; docstrings, annotations and messages are left alone."""
    return sum(1 for _ in changes(ast.parse(text)))


def mutant(text: str, number: int) -> Mutant:
    """One mutant of a module; they are numbered in the order of its text."""
    tree, mutated = ast.parse(text), ast.parse(text)
    before, _ = next(itertools.islice(changes(tree), number, None))
    after, change = next(itertools.islice(changes(mutated), number, None))
    change(after)
    holding = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and before in ast.walk(node)]
    return Mutant(
        ast.unparse(ast.fix_missing_locations(mutated)),
        before.lineno,
        described(before, after, holding[-1]),
        own_lines(holding[-1]),
        function_of(holding),
    )


def function_of(holding: list[ast.stmt]) -> tuple[str, ...]:
    """The names of the outermost function among the statements that hold a node, outer ones first."""
    names: list[str] = []
    for statement in holding[:-1]:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            names.append(statement.name)
        if isinstance(statement, ast.FunctionDef):
            return tuple(names)
    return ()


def own_lines(statement: ast.stmt) -> range:
    """The lines of a statement without those that it holds."""
    body = getattr(statement, "body", None)
    return range(statement.lineno, body[0].lineno if body else (statement.end_lineno or statement.lineno) + 1)


def described(before: ast.AST, after: ast.AST, statement: ast.stmt) -> str:
    """What became of what; of a constant also where, as the same one stands in many places."""
    one, other = (" ".join(ast.unparse(node).split()) for node in (before, after))
    place = f" in {ast.unparse(statement).splitlines()[0][:80]}" if isinstance(before, ast.Constant) else ""
    return f"{one[:80]} -> {other[:80]}{place}"


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    """Each node that a mistake can be made in, and the function that makes it."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "names"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not is_prose(child) and not is_table_of_names(child):
                yield from own_changes(child)
                yield from changes(child)


def is_prose(node: ast.AST) -> bool:
    """A docstring, or a refusal's text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SILENT


def is_table_of_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def own_changes(node: ast.AST) -> Iterator[tuple[ast.AST, Change]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield node, swap_first_operator
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
        yield node, swap_operator
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | str):
        yield node, change_constant
    elif isinstance(node, ast.Return) and node.value is not None and not is_none(node.value):
        yield node, return_none
    elif isinstance(node, ast.If | ast.IfExp):
        yield node, invert
    elif isinstance(node, ast.Expr | ast.AugAssign):
        yield node, leave_out


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def swap_first_operator(node: ast.Compare) -> None:
    node.ops[0] = SWAPS[type(node.ops[0])]()


def swap_operator(node: ast.BinOp | ast.BoolOp) -> None:
    node.op = SWAPS[type(node.op)]()


def change_constant(node: ast.Constant) -> None:
    if isinstance(node.value, bool):
        node.value = not node.value
    else:
        node.value = node.value + 1 if isinstance(node.value, int) else f"{node.value}_"


def return_none(node: ast.Return) -> None:
    node.value = ast.Constant(None)


def invert(node: ast.If | ast.IfExp) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def leave_out(node: ast.Expr | ast.AugAssign) -> None:
    """Turns the statement into one that does nothing."""
    node.__class__ = ast.Pass
