"""The local names of emitted functions, and which of them the user's own functions use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType

__all__ = ["LocalNames", "local_names", "names_in"]

GIVEN = frozenset({"w", "state", "training", "n", "device", "_"})  # what every emitted package calls so
NUMBERED = re.compile(r".*_\d+")


@dataclass(frozen=True)
class LocalNames:
    """Counts over all functions of a module, a name once a function; `numbered` has the suffixed ones as they stand."""

    total: int
    recovered: int
    numbered: tuple[str, ...]


def local_names(text: str, known: frozenset[str]) -> LocalNames:
    """The arguments, variables and loop variables of a module's functions, and those of them that are `known`."""
    found = [
        name
        for function in ast.parse(text).body
        if isinstance(function, ast.FunctionDef)
        for name in sorted(bound(function) - GIVEN)
    ]
    numbered = tuple(name for name in found if NUMBERED.fullmatch(name) and name not in known)
    return LocalNames(len(found), sum(name in known for name in found), numbered)


def bound(function: ast.FunctionDef) -> set[str]:
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {argument.arg for argument in function.args.args}


def names_in(functions: Iterable[CodeType]) -> frozenset[str]:
    """Variables, arguments and attributes that functions and what is nested in them mention."""
    found: set[str] = set()
    waiting = list(functions)
    while waiting:
        code = waiting.pop()
        found.update(code.co_varnames, code.co_names, code.co_cellvars, code.co_freevars)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)
