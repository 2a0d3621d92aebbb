"""How many lines of code a text has: no blank lines, comments or docstrings."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Iterable
from types import CodeType

__all__ = ["definition_lines", "function_lines", "longest_function"]

NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, node.end_lineno + 1))
    return found


def definition_lines(text: str) -> int:
    """Lines of all functions and classes of a module; its imports do not count."""
    return sum(definitions(text, (ast.FunctionDef, ast.ClassDef)))


def longest_function(text: str) -> int:
    return max(definitions(text, (ast.FunctionDef,)), default=0)


def definitions(text: str, kinds: tuple[type[ast.stmt], ...]) -> list[int]:
    lines = code_lines(text)
    found = [node for node in ast.parse(text).body if isinstance(node, kinds)]
    return [len(lines.intersection(range(node.lineno, node.end_lineno + 1))) for node in found]


def function_lines(functions: Iterable[CodeType]) -> int:
    """Lines of functions, decorators included; one whose source is not at hand counts as none."""
    total = 0
    for code in functions:
        try:
            total += len(code_lines(textwrap.dedent(inspect.getsource(code))))
        except (OSError, TypeError, SyntaxError, tokenize.TokenError):
            continue
    return total
