"""The local names of emitted functions, and which of them the user's own functions use."""

from __future__ import annotations

import ast
import dis
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
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
    """The arguments, variables and loop variables of a module's functions, and those of them that are `known`.

    A private attribute's name has lost its underscore where it names an argument.
    """
    found = [
        name
        for function in ast.parse(text).body
        if isinstance(function, ast.FunctionDef)
        for name in sorted(bound(function) - GIVEN)
    ]
    numbered = tuple(name for name in found if NUMBERED.fullmatch(name) and name not in known)
    recovered = sum(name in known or f"_{name}" in known for name in found)
    return LocalNames(len(found), recovered, numbered)


def bound(function: ast.FunctionDef) -> set[str]:
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {argument.arg for argument in function.args.args}


def names_in(functions: Iterable[CodeType]) -> frozenset[str]:
    """Variables, arguments, attributes and keys that functions and what is nested in them mention."""
    found: set[str] = set()
    waiting = list(functions)
    while waiting:
        code = waiting.pop()
        found.update(code.co_varnames, code.co_names, code.co_cellvars, code.co_freevars, keys(code))
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)


def keys(code: CodeType) -> set[str]:
    """The texts that a function takes things out of dictionaries by: `data`, for `inputs["data"]`."""
    pairs = pairwise(dis.get_instructions(code))
    return {one.argval for one, other in pairs if other.opname == "BINARY_SUBSCR" and isinstance(one.argval, str)}
