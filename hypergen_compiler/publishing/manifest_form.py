"""The form of `hypergen.json`, by which a damaged one is told from one that can be read."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

__all__ = ["PACKAGE_API", "is_manifest"]

PACKAGE_API = 1


@dataclass(frozen=True)
class Named:
    """An object in which every value has this form, whatever their names."""

    form: Any


@dataclass(frozen=True)
class Listed:
    """A list of this form."""

    form: Any


def is_setting(value: Any) -> bool:
    """Whether it is a setting as the manifest writes it: plain, or a Python literal's text."""
    if not isinstance(value, dict):
        return isinstance(value, str | int | float | NoneType)
    try:
        ast.literal_eval(value["literal"])
    except (KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


MAYBE_TEXT = (str, NoneType)
SIZE = (int, str)  # a number, or one such as 2n+1
INPUT = {"name": str}
TENSOR = {
    "shape": Listed(SIZE),
    "dtype": str,
    "low": (int, float, NoneType),
    "high": (int, float, NoneType),
    "vocabulary": (int, NoneType),
}
ENTRY = {"origin": MAYBE_TEXT, "method": MAYBE_TEXT, "inputs": Listed(INPUT), "outputs": Listed(Listed(SIZE))}
SLOT = {
    "name": str, "shape": Listed(int), "offset": int, "trained": bool, "conditioned": bool, "aliases": Listed(str),
}  # fmt: skip
LAYOUT = {"size": int, "conditioned": int, "emitted": int, "weights": int, "dtype": str, "slots": Listed(SLOT)}
PART = {"name": str, "kind": str, "rows": int, "shape": Listed(int)}
PLAN = {
    "head": str, "rank": int, "chunk": (int, NoneType), "keep": Listed(str), "encoder": Listed(PART), "penalty": str,
    "parameters": int, "bytes": int, "budget": (str, int, NoneType), "space": str, "spared": Listed(str),
    "together": bool, "apart": bool,
}  # fmt: skip
OPTIONS = {
    "entries": Listed(str), "keep": Listed(str), "recipe_settings": Named(is_setting), "loss": str, "sample": str,
    **dict.fromkeys(("budget", "recipe", "head", "penalty", "penalty_space"), MAYBE_TEXT),
    **dict.fromkeys(("allow_frozen", "single_file"), bool),
}  # fmt: skip
MANIFEST = {
    "package_api": int,
    "hypergen": str,
    "torch": str,
    "formatter": MAYBE_TEXT,
    "name": str,
    "model": str,
    "source": MAYBE_TEXT,
    "settings": Named(is_setting),
    "example": MAYBE_TEXT,
    "options": (dict, NoneType),
    "entries": Named(ENTRY),
    "loss": MAYBE_TEXT,
    "sample": MAYBE_TEXT,
    "layout": LAYOUT,
    "plan": PLAN,
    "files": Named(str),
}
RECIPE = {"name": str, "settings": Named(is_setting), "entries": Named(str), "recognised": MAYBE_TEXT}
VENDORED = {"name": str, "path": str}


def is_manifest(value: Any) -> bool:
    """Whether JSON is a manifest of this version's kind."""
    return (
        has_form(value, MANIFEST)
        and value["package_api"] == PACKAGE_API
        and (value["options"] is None or (value["source"] is not None and has_parts(value["options"], OPTIONS)))
        and (value.get("recipe") is None or has_form(value["recipe"], RECIPE))
        and ("vendored" not in value or has_form(value["vendored"], VENDORED))
        and all(
            has_form(item, TENSOR) for entry in value["entries"].values() for item in entry["inputs"] if "shape" in item
        )
    )


def has_form(value: Any, form: Any) -> bool:
    if isinstance(form, dict):
        return isinstance(value, dict) and form.keys() <= value.keys() and has_parts(value, form)
    if isinstance(form, Named):
        return isinstance(value, dict) and all(has_form(item, form.form) for item in value.values())
    if isinstance(form, Listed):
        return isinstance(value, list) and all(has_form(item, form.form) for item in value)
    if form is is_setting:
        return is_setting(value)
    return isinstance(value, form) and (form is bool or not isinstance(value, bool))


def has_parts(value: Mapping[str, Any], form: Mapping[str, Any]) -> bool:
    return all(has_form(value[name], part) for name, part in form.items() if name in value)
