"""`[tool.hypergen.NAME]` in a project's pyproject.toml: packages to compile, with the options of the command line."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.origin import Origin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PROJECT", "Target", "find_project", "read_project", "tables_in", "targets_in"]

PROJECT = "pyproject.toml"
# An option's name on the command line, that of the field of `Origin`, and the type of its value.
OPTIONS: dict[str, tuple[str, type]] = {
    "source": ("source", str),
    "example": ("example", str),
    "loss": ("loss", str),
    "sample": ("sample", str),
    "entry": ("entries", list),
    "set": ("settings", dict),
    "budget": ("budget", str),
    "allow-frozen": ("allow_frozen", bool),
    "recipe": ("recipe", str),
    "recipe-set": ("recipe_settings", dict),
    "head": ("head", str),
    "keep": ("keep", list),
    "single-file": ("single_file", bool),
    "penalty": ("penalty", str),
    "penalty-space": ("penalty_space", str),
}
WORDS = {str: "a text", list: "a list of texts", dict: "a table", bool: "true or false"}


@dataclass(frozen=True)
class Target:
    """A package to compile: its name, by default the folder's, the folder `out`, and from what."""

    name: str | None
    out: Path
    origin: Origin


def find_project(start: Path) -> Path:
    """The pyproject.toml of a folder or of the nearest one above it that has one. Raises HG108 if none has."""
    found = next((folder / PROJECT for folder in (start, *start.parents) if (folder / PROJECT).is_file()), None)
    if found is None:
        raise HyperGenError(
            "HG108",
            f"there is no {PROJECT} here or above",
            remedy="Name what to compile or to check, or list packages in one as [tool.hypergen.NAME].",
        )
    return found


def read_project(file: Path) -> str:
    """A pyproject.toml's text. Raises HG108 for one that cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "TOML is UTF-8; save it as that, where you may read it."
        raise HyperGenError("HG108", f"{PROJECT} cannot be read: {error}", where=PROJECT, remedy=remedy) from None


def targets_in(text: str) -> tuple[Target, ...]:
    """The packages that a pyproject.toml lists, in its order. Raises HG108."""
    tables = tables_in(text)
    if not tables:
        raise HyperGenError(
            "HG108",
            f"{PROJECT} lists no packages",
            where=PROJECT,
            remedy="Write a table [tool.hypergen.NAME] with source and example for each.",
        )
    targets = tuple(target(name, table, Place(text, name)) for name, table in tables.items())
    for number, one in enumerate(targets):
        if any(one.out == earlier.out for earlier in targets[:number]):
            raise Place(text, str(one.name)).error("has the same `out` as another", "Give each a folder of its own.")
    return targets


def tables_in(text: str) -> dict[str, Any]:
    """What a pyproject.toml holds below `[tool.hypergen]`, unchecked. Raises HG108 if it is no TOML."""
    try:
        tool = tomllib.loads(text).get("tool")
        tables = tool.get("hypergen", {}) if isinstance(tool, dict) else {}
    except tomllib.TOMLDecodeError as error:
        remedy = "Correct this line."
        raise HyperGenError("HG108", f"{PROJECT} is no TOML: {error}", where=PROJECT, remedy=remedy) from None
    return tables if isinstance(tables, dict) else {}


@dataclass(frozen=True)
class Place:
    """A table in the text, for messages."""

    text: str
    name: str

    def error(self, what: str, remedy: str) -> HyperGenError:
        header = re.compile(rf"\s*\[\s*tool\s*\.\s*hypergen\s*\.\s*[\"']?{re.escape(self.name)}[\"']?\s*\]")
        lines = (number for number, line in enumerate(self.text.splitlines(), 1) if header.match(line))
        where = f"{PROJECT}:{next(lines, 1)}"
        return HyperGenError("HG108", f"[tool.hypergen.{self.name}] {what}", where=where, remedy=remedy)


def target(name: str, table: Any, place: Place) -> Target:
    known = ("out", *OPTIONS)
    if not isinstance(table, dict):
        raise place.error("is no table", f"Options belong to a package's table: {', '.join(known)}.")
    for option, value in table.items():
        kind = OPTIONS.get(option, (None, str))[1]
        if option not in known:
            raise place.error(f"has an unknown option {option!r}", f"The options are {', '.join(known)}.")
        if not isinstance(value, kind) or (kind is list and not all(isinstance(item, str) for item in value)):
            raise place.error(f"has {option} = {value!r}, which is not {WORDS[kind]}", f"Make it {WORDS[kind]}.")
        if kind is dict:
            check_settings(option, value, place)
    for option in ("source", "example"):
        if option not in table:
            raise place.error(f"has no {option!r}", "Write it as on the command line of `hypergen compile`.")
    fields = {OPTIONS[option][0]: value for option, value in table.items() if option != "out"}
    return Target(name, Path(table.get("out", name)), Origin(**fields))


def check_settings(option: str, settings: Mapping[str, Any], place: Place) -> None:
    """A manifest must be able to hold them."""
    for key, value in settings.items():
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError):
            remedy = "Settings are numbers, texts, true, false, and lists or tables of them."
            raise place.error(f"has {option}.{key} = {value}, which is no setting", remedy) from None
