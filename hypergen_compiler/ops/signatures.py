"""Parameter names and defaults of torch's functions, from Python or, for built-in ones, from their documentation."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from typing import Any

__all__ = ["REQUIRED", "positional", "signature"]

REQUIRED = object()
LONGEST = 500  # characters of a documented signature; a longer match has run into the prose


@cache
def signature(name: str, function: Any) -> tuple[tuple[str, Any], ...] | None:
    """[(parameter, default)] of a function, or None where nothing is known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return documented(name, function)
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return tuple((p.name, REQUIRED if p.default is p.empty else p.default) for p in plain)


@cache
def positional(name: str, function: Any) -> int:
    """How many of a function's parameters may be given without their names."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        text = (getattr(function, "__doc__", "") or "").strip().split("->")[0]
        before, star, _ = text.partition("*,")
        known = signature(name, function) or ()
        return sum(1 for parameter, _ in known if re.search(rf"\b{parameter}\b", before)) if star else len(known)
    return sum(1 for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def documented(name: str, function: Any) -> tuple[tuple[str, Any], ...] | None:
    text = (getattr(function, "__doc__", "") or "").strip().split("->")[0]
    match = re.match(r"[\w.]+\((.*)\)\s*$", text, re.S)
    if match is None or len(text) > LONGEST:
        return None
    found = []
    for part in re.split(r",\s*(?![^(\[]*[)\]])", match[1]):
        parameter, _, default = (piece.strip() for piece in part.partition("="))
        if parameter.startswith("*") and parameter != "*":
            return None
        if parameter.isidentifier():
            found.append((parameter, parsed(default) if default else REQUIRED))
    return tuple(found)


def parsed(default: str) -> Any:
    try:
        return ast.literal_eval(default)
    except (ValueError, SyntaxError):
        return object()  # a default with no literal form equals no argument
