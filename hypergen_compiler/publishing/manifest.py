"""`hypergen.json`: what a package was made from and what its files were when it was published."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import Slot, matching
from hypergen_compiler.plan.gains import matrices
from hypergen_compiler.program import Affine, Dimension, Entry, Input
from hypergen_compiler.publishing.interrupted import put_back
from hypergen_compiler.publishing.manifest_form import PACKAGE_API, is_manifest
from hypergen_compiler.recipes import describe
from hypergen_compiler.request.origin import Origin, as_setting, describe_options, relative
from hypergen_compiler.version import VERSION

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint
    from hypergen_compiler.design import Design
    from hypergen_compiler.recipes.entries import RecipeEntries

__all__ = [
    "BASE",
    "IGNORED",
    "MANIFEST",
    "describe_package",
    "digest",
    "edited_files",
    "files_in",
    "manifest_text",
    "read_manifest",
    "unknown_files",
]

MANIFEST = "hypergen.json"
BASE = "hypergen.base.tar.bz2"  # the texts as they were written, see pristine.py
IGNORED = ("__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache")  # what tools leave in a folder of sources


def describe_package(
    found: Design, origin: Origin, formatter: str | None, files: Mapping[str, bytes]
) -> dict[str, Any]:
    """The manifest as plain JSON values: no time, no absolute path, nothing that differs between two equal compiles."""
    program, layout, plan, points, recipe = found.program, found.layout, found.plan, found.points, found.recipe
    methods = {point.name: point.method for point in points}
    return {
        "hypergen": VERSION,
        "package_api": PACKAGE_API,
        "torch": torch.__version__.partition("+")[0],
        "formatter": formatter,
        "name": program.name,
        "model": program.source,
        "source": relative(origin.source),
        "settings": {name: as_setting(value) for name, value in origin.settings.items()},
        "example": relative(origin.example),
        "options": describe_options(origin),
        "entries": {entry.name: describe_entry(entry, methods[entry.name]) for entry in program.entries},
        "loss": program.loss,
        "sample": program.sample,
        "recipe": None if recipe is None else describe_recipe(recipe, points),
        "plan": plain(dataclasses.asdict(plan)),
        "layout": {
            "size": layout.size,
            "conditioned": layout.conditioned,
            "emitted": layout.trained,
            "weights": layout.weights,
            "dtype": plain(layout.dtype),
            "slots": [describe_slot(slot) for slot in layout.slots],
        }
        | ({} if layout.critic is None else {"critic": layout.critic})
        | (describe_gains(found) if layout.gains else {}),
        "files": {path: digest(content) for path, content in files.items()},
    }


def describe_slot(slot: Slot) -> dict[str, Any]:
    """A tensor's place; `gain` only where it has one."""
    found = plain(dataclasses.asdict(slot))
    return {name: value for name, value in found.items() if name != "gain" or value is not None}


def describe_gains(found: Design) -> dict[str, Any]:
    """How many gains there are, and why which matrices have none."""
    wanted, reasons = matrices(found.program, matching(found.program, found.plan.keep)), found.together.reasons
    return {"gains": found.layout.gains, "without_gain": {name: reasons[name] for name in reasons if name in wanted}}


def describe_recipe(recipe: RecipeEntries, points: Sequence[EntryPoint]) -> dict[str, Any]:
    """Its name and settings, which of its calls made which entry point, and what it was recognised by, if it was."""
    settings = describe(recipe.recipe)
    calls = {recipe.loss: "loss", recipe.sample: "sample", recipe.critic_loss: "critic_loss"}
    if recipe.critic_loss is not None:  # an object has no name
        settings["critic"] = relative(settings["critic"]) if isinstance(settings["critic"], str) else None
    return {
        "name": settings.pop("name"),
        "settings": {name: as_setting(value) for name, value in settings.items()},
        "entries": {point.name: calls[point.call] for point in points if point.call in calls},
        "recognised": recipe.reason,
    }


def describe_entry(entry: Entry, method: str | None) -> dict[str, Any]:
    """`method` is the model's method behind it, None for a function that only the caller of the compiler has.

    Where the model runs in one mode alone, that is its `only` one.
    """
    return {
        "origin": entry.origin,
        "method": method,
        "inputs": [describe_input(item) for item in entry.inputs],
        "outputs": [list(map(dimension_text, shape)) for shape in entry.shapes],
    } | ({"only": entry.only} if entry.only else {})


def describe_input(item: Input) -> dict[str, Any]:
    if not item.is_tensor:
        return {"name": item.name} | ({} if item.value is None else {"value": as_setting(item.value)})
    return {
        "name": item.name,
        "shape": list(map(dimension_text, item.shape or ())),
        "dtype": plain(item.dtype),
        "low": plain(item.low),
        "high": plain(item.high),
        "vocabulary": item.vocabulary,
    }


def dimension_text(size: Dimension) -> int | str:
    """`n`, `2n`, `n+1`; plain numbers stay."""
    if not isinstance(size, Affine):
        return size
    return f"{'' if size.slope == 1 else size.slope}n{f'{size.offset:+d}' if size.offset else ''}"


def plain(value: Any) -> Any:
    """JSON values for a description's fields."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value).removeprefix("torch.")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """Sorted and indented, short lists on one line."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=True)
    # No string holds a newline, so that a bracket before one is a list's.
    short = re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda found: "[" + re.sub(r"\n\s+", " ", found[1]) + "]", text)
    return f"{short}\n".encode()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a published package. Raises HG504 if the folder holds none that this version understands.

    A package that a killed compiler had set aside is put back first.
    """
    put_back(Path(os.path.realpath(folder)))
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError):
        manifest = None
    if not is_manifest(manifest):
        raise HyperGenError(
            "HG504",
            f"{folder.name or folder} holds no {MANIFEST} that HyperGen {VERSION} understands",
            remedy="Name the folder of a package that `hypergen compile` wrote, or compile the model again.",
        )
    return manifest


def edited_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The published files that are not what they were: edited or deleted."""
    return [
        path
        for path, known in sorted(manifest["files"].items())
        if not (folder / path).is_file() or digest((folder / path).read_bytes()) != known
    ]


def unknown_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Files in the folder that HyperGen did not publish, caches of tools aside."""
    known = {MANIFEST, BASE, *manifest["files"]} if manifest["files"] else set()
    return [path for path in files_in(folder) if path not in known]


def files_in(folder: Path) -> list[str]:
    """Every file and link below the folder, caches of tools aside."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(path.as_posix() for path in found if not set(IGNORED) & set(path.parts))
