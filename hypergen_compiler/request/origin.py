"""How a model and its compilation were named in words, on the command line, in a project's table or in a manifest."""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import HyperGenError

__all__ = ["Origin", "as_setting", "describe_options", "origin_of", "relative", "setting"]


@dataclasses.dataclass(frozen=True)
class Origin:
    """The options of `hypergen compile` that decide what is emitted; `source` is None for objects given in Python.

    `loss` and `sample` are names of methods, `module:function`, or `none`.
    """

    source: str | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    example: str | None = None
    loss: str = "loss"
    sample: str = "sample"
    entries: Sequence[str] = ()
    budget: str | None = None
    allow_frozen: bool = False
    recipe: str | None = None
    recipe_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    head: str | None = None
    keep: Sequence[str] = ()
    single_file: bool = False
    penalty: str | None = None
    penalty_space: str | None = None


NAMED_APART = ("source", "settings", "example")  # in a manifest they stand beside the other options


def describe_options(origin: Origin) -> dict[str, Any] | None:
    """The options behind source, settings and example as JSON values; None where only a caller in Python has them."""
    if origin.source is None:
        return None
    options = {
        field.name: getattr(origin, field.name) for field in dataclasses.fields(origin) if field.name not in NAMED_APART
    }
    settings = {name: portable(name, value) for name, value in origin.recipe_settings.items()}
    calls = {"loss": relative(origin.loss), "sample": relative(origin.sample)}
    return (
        options
        | calls
        | {
            "entries": [relative(entry) for entry in origin.entries],
            "recipe_settings": settings,
            "keep": list(origin.keep),
        }
    )


def portable(name: str, value: Any) -> Any:
    """A recipe's setting; the critic is named by a file, whose folder must not enter a manifest."""
    return relative(value) if name == "critic" and isinstance(value, str) else as_setting(value)


def origin_of(manifest: Mapping[str, Any], source: str | None = None) -> Origin:
    """The words from which a package can be compiled again, with another `source` if one is given.

    Raises HG603 where the manifest does not have them.
    """
    options = manifest.get("options")
    if options is None:
        raise HyperGenError(
            "HG603",
            f"the manifest of {manifest['name']} does not say how to compile it again, since that was done in Python",
            remedy="Compile it by the command `hypergen compile`, which names the model, its example and all options.",
        )
    known = {field.name for field in dataclasses.fields(Origin)}
    if unknown := sorted(options.keys() - known):
        raise HyperGenError(
            "HG603",
            f"the manifest of {manifest['name']} has options that this HyperGen does not know: {', '.join(unknown)}",
            remedy="Install the HyperGen that wrote the package, or a later one.",
        )
    settings = {name: setting(value) for name, value in manifest["settings"].items()}
    recipe_settings = {name: setting(value) for name, value in options["recipe_settings"].items()}
    found = Origin(manifest["source"], settings, manifest["example"], **options)
    return dataclasses.replace(found, source=source or found.source, recipe_settings=recipe_settings)


def as_setting(value: Any) -> Any:
    """A value from which the same can be had back; what JSON does not know, such as a tuple, as its Python literal."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return {"literal": repr(value)}


def setting(value: Any) -> Any:
    """What `as_setting` was given."""
    return ast.literal_eval(value["literal"]) if isinstance(value, dict) else value


def relative(reference: str | None) -> str | None:
    """A file's path below the current folder; outside of it, only its name."""
    if reference is None or not Path(reference).is_absolute():
        return reference
    path = Path(reference)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.name
