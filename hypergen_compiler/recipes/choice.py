"""Which recipe a model is compiled with: the one asked for, one that is recognised, or none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from hypergen_compiler.recipes.autoregressive import Autoregressive
from hypergen_compiler.recipes.ddpm import Ddpm
from hypergen_compiler.recipes.flow_matching import FlowMatching
from hypergen_compiler.recipes.gan import Gan
from hypergen_compiler.recipes.mixture import Mixture
from hypergen_compiler.recipes.nll import Nll
from hypergen_compiler.recipes.pythae import Pythae
from hypergen_compiler.recipes.recipe import Recipe, refuse_unless
from hypergen_compiler.recipes.recognise import recognise
from hypergen_compiler.recipes.vae import Vae

__all__ = ["RECIPES", "Choice", "choose", "describe", "make_recipe", "with_critic"]

RECIPES: dict[str, type[Recipe]] = {
    kind.name: kind for kind in (Vae, Nll, Ddpm, FlowMatching, Autoregressive, Gan, Mixture, Pythae)
}


@dataclass(frozen=True)
class Choice:
    """A recipe, and in `reason` what it was recognised by, None where it was asked for."""

    recipe: Recipe
    reason: str | None = None


def choose(network: nn.Module, asked: str | Mapping[str, Any] | Recipe | None, loss: Any) -> Choice | None:
    """The recipe asked for, or a recognised one where the loss is the default method and the network has none."""
    if asked is not None:
        return Choice(make_recipe(asked))
    if loss != "loss" or callable(getattr(network, "loss", None)):
        return None
    found = recognise(network)
    return None if found is None else Choice(*found)


def make_recipe(asked: str | Mapping[str, Any] | Recipe) -> Recipe:
    """A recipe from its name, from a mapping of its name and settings, or as it is. Raises HG107."""
    if isinstance(asked, Recipe):
        return asked
    settings = dict(asked) if isinstance(asked, Mapping) else {"name": asked}
    name = settings.pop("name", None)
    refuse_unless(name in RECIPES, f"there is no recipe {name!r}", f"The recipes are {', '.join(RECIPES)}.")
    kind = RECIPES[name]
    known = {field.name: field.default for field in dataclasses.fields(kind)}
    for key, value in settings.items():
        refuse_unless(
            key in known,
            f"{name} has no setting {key!r}",
            f"Its settings are {', '.join(f'{field}={default!r}' for field, default in known.items())}."
            if known
            else "It has no settings.",
        )
        refuse_unless(
            suits(value, known[key]), f"{name}: {key}={value!r} is of another kind", f"The default is {known[key]!r}."
        )
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def suits(value: Any, default: Any) -> bool:
    """Whether a setting is of the type of its default; whole numbers are numbers, and shapes of one dimension, too."""
    if default is None:
        return True
    if isinstance(default, tuple):
        return isinstance(value, tuple | list) or type(value) is int
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def describe(recipe: Recipe) -> dict[str, Any]:
    """The mapping of name and settings from which `make_recipe` makes the same recipe."""
    return {"name": recipe.name, **{field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}}


def with_critic(
    asked: str | Mapping[str, Any] | Recipe | None, critic: nn.Module | str | None
) -> str | Mapping[str, Any] | Recipe | None:
    """The recipe asked for, with a critic if there is one; a critic alone asks for `gan`."""
    if critic is None:
        return asked
    settings = describe(asked) if isinstance(asked, Recipe) else asked
    return {**(settings if isinstance(settings, Mapping) else {"name": settings or "gan"}), "critic": critic}
