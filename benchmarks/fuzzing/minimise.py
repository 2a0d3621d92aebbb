"""Makes a program that fails smaller for as long as it fails in the same way.

Works on the syntax tree, whatever wrote the program: statements go, blocks become what is in them, expressions become
one of their parts. What no longer runs on its own fails otherwise, and is not taken.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

__all__ = ["minimised"]

KEPT = frozenset({"model", "example", "leaves", "ENTRIES"})  # what a program must define
MOST_TRIALS = 1500


def minimised(text: str, fails: Callable[[str], bool], trials: int = MOST_TRIALS) -> str:
    """The smallest text found for which `fails` still holds."""
    tree = ast.parse(text)
    progress = True
    while progress and trials > 0:
        progress = False
        for change in (without_statement, unwrapped, with_smaller_expression):
            position = 0
            while trials > 0:
                smaller = change(copy.deepcopy(tree), position)
                if smaller is None:
                    break
                trials -= 1
                if fails(ast.unparse(ast.fix_missing_locations(smaller))):
                    tree, progress = smaller, True
                else:
                    position += 1
    return ast.unparse(tree) + "\n"


def bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements, inner ones last."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            found = getattr(node, field, None)
            if isinstance(found, list):
                yield found


def without_statement(tree: ast.Module, position: int) -> ast.Module | None:
    """Without its statement number `position`, longest first where that is a class or function."""
    for body in bodies(tree):
        for place, statement in enumerate(body):
            if is_kept(statement):
                continue
            if position == 0:
                del body[place]
                if not body:
                    body.append(ast.Pass())
                return tree
            position -= 1
    return None


def is_kept(statement: ast.stmt) -> bool:
    named = getattr(statement, "name", None) in KEPT
    return named or isinstance(statement, ast.Pass | ast.Return) or "ENTRIES" in ast.unparse(statement)[:7]


def unwrapped(tree: ast.Module, position: int) -> ast.Module | None:
    """With what an `if`, `for` or `with` holds in its place."""
    for body in bodies(tree):
        for place, statement in enumerate(body):
            if isinstance(statement, ast.If | ast.For | ast.While | ast.With):
                if position == 0:
                    body[place : place + 1] = statement.body
                    return tree
                position -= 1
    return None


def with_smaller_expression(tree: ast.Module, position: int) -> ast.Module | None:
    """With an expression replaced by one that stands in it."""
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            for place, inner in enumerate(values):
                if not isinstance(
                    inner, ast.Call | ast.BinOp | ast.Subscript | ast.IfExp | ast.Tuple | ast.List | ast.Dict
                ):
                    continue
                for part in smaller(inner):
                    if position == 0:
                        if isinstance(value, list):
                            value[place] = part
                        else:
                            setattr(node, field, part)
                        return tree
                    position -= 1
    return None


def smaller(expression: ast.expr) -> Iterator[ast.expr]:
    """The expressions that stand directly in another, and its object where it is a method's call."""
    if isinstance(expression, ast.Call):
        if isinstance(expression.func, ast.Attribute):
            yield expression.func.value
        yield from expression.args
        return
    for inner in ast.iter_child_nodes(expression):
        if isinstance(inner, ast.expr) and not isinstance(inner, ast.Slice):
            yield inner
