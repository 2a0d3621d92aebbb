"""From a manifest back to the model, its entry points and inputs like the example's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hypergen_compiler.capture.entry import EntryPoint, entry_points
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes import Gan, Recipe, make_recipe
from hypergen_compiler.request.origin import setting
from hypergen_compiler.request.source import resolve_model

__all__ = ["completed", "example_of", "points_of", "rebuild_model"]


def rebuild_model(manifest: Mapping[str, Any], source: str | None = None) -> nn.Module:
    """The model from `source`, or else from where the manifest says it came from, with the manifest's settings.

    Raises HG603 if that is not possible.
    """
    source = source or manifest["source"]
    if source is None:
        raise HyperGenError(
            "HG603",
            "the package was compiled from an object in Python, which the manifest cannot name",
            remedy="Name the model: `hypergen verify DIR path/to/file.py:Name`, or `hypergen.verify(path, model)`.",
        )
    try:
        return resolve_model(source, {name: setting(value) for name, value in manifest["settings"].items()}).model
    except HyperGenError as error:
        raise HyperGenError(
            "HG603",
            f"the model cannot be rebuilt from {source}: {error.what}",
            where=error.where,
            remedy=error.remedy,
        ) from error


def recipe_of(manifest: Mapping[str, Any]) -> Recipe | None:
    """The recipe that a package was compiled with, if one was. Raises HG107 for one that HyperGen no longer has."""
    recipe = manifest.get("recipe")
    if recipe is None:
        return None
    return make_recipe({name: setting(value) for name, value in recipe["settings"].items()} | {"name": recipe["name"]})


def completed(manifest: Mapping[str, Any], model: nn.Module, critic: nn.Module | str | None = None) -> nn.Module:
    """The model with what its recipe adds, a `critic` or the one that the manifest names.

    Raises HG603 where there is neither.
    """
    recipe = recipe_of(manifest)
    if not isinstance(recipe, Gan):
        return model
    if critic is None and recipe.critic is None:
        raise HyperGenError(
            "HG603",
            "the critic was an object in Python, which the manifest cannot name",
            remedy="Name it: `hypergen verify DIR --critic path/to/file.py:Name`, or `hypergen.verify(path, model, "
            "critic=critic)`.",
        )
    return replace(recipe, critic=recipe.critic if critic is None else critic).around(model)


def points_of(manifest: Mapping[str, Any], model: nn.Module) -> tuple[tuple[EntryPoint, ...], tuple[str, ...]]:
    """The entry points that are methods of the model or a recipe's, and the names of those that only a caller has.

    Raises HG201 for a method that the model no longer has, HG107 for a recipe that HyperGen no longer has.
    """
    entries, recipe = manifest["entries"], recipe_of(manifest)
    calls = {name: entry["method"] for name, entry in entries.items() if entry["method"]}
    if recipe is not None:
        calls |= {name: getattr(recipe, call) for name, call in manifest["recipe"]["entries"].items()}
    known = {name: (calls[name], example_of(entry)) for name, entry in entries.items() if name in calls}
    points = entry_points(model, (), loss=None, sample=None, entries=known)
    return points, tuple(name for name in entries if name not in calls)


def example_of(entry: Mapping[str, Any]) -> Any:
    """A function from n to inputs of the recorded shapes, types and ranges, the same for the same n."""

    def batch(n: int) -> tuple[Any, ...]:
        generator = torch.Generator().manual_seed(n)
        return tuple(made(item, n, generator) for item in entry["inputs"])

    return batch


def made(item: Mapping[str, Any], n: int, generator: torch.Generator) -> Any:
    if "shape" not in item:
        return setting(item["value"]) if "value" in item else n
    return made_tensor(item, [dimension(size, n) for size in item["shape"]], generator)


def made_tensor(item: Mapping[str, Any], shape: list[int], generator: torch.Generator) -> Tensor:
    dtype = getattr(torch, item["dtype"])
    low, high = (0 if item[bound] is None else item[bound] for bound in ("low", "high"))
    if dtype == torch.bool:
        return torch.randint(2, shape, generator=generator).bool()
    if dtype.is_complex:
        return torch.randn(shape, dtype=dtype, generator=generator)
    if not dtype.is_floating_point:
        return torch.randint(int(low), int(high) + 1, shape, generator=generator, dtype=dtype)
    return (low + (high - low) * torch.rand(shape, generator=generator)).to(dtype)


def dimension(size: int | str, n: int) -> int:
    if isinstance(size, int):
        return size
    found = re.fullmatch(r"(\d*)n([+-]\d+)?", size)
    if found is None:
        raise HyperGenError(
            "HG504", f"the manifest's dimension {size!r} is not understood", remedy="Compile the model again."
        )
    return int(found[1] or 1) * n + int(found[2] or 0)
