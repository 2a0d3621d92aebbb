"""A recipe's loss and sampler as entry points of one network."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from hypergen_compiler.capture.entry import batches, place
from hypergen_compiler.errors import HyperGenError, HyperGenWarning, Progress
from hypergen_compiler.recipes import Choice, Gan, Recipe, choose

__all__ = ["RecipeEntries", "chosen_recipe", "recipe_entries", "sampler"]


@dataclass(frozen=True)
class RecipeEntries:
    """A recipe with all its settings found, its calls, and in `reason` what it was recognised by, if it was.

    The calls take `model`, the network with what else the recipe needs. `sample` is None where the recipe cannot draw
    from the network, `critic_loss` where it has no critic.
    """

    model: nn.Module
    recipe: Recipe
    reason: str | None
    loss: Callable[..., Any]
    sample: Callable[..., Any] | None
    critic_loss: Callable[..., Any] | None = None


def chosen_recipe(
    model: nn.Module, example: Any, asked: str | Mapping[str, Any] | Recipe | None, loss: Any, progress: Progress
) -> RecipeEntries | None:
    """The recipe that was asked for or, with the default `loss`, one that is recognised, fitted; it is told which."""
    choice = choose(model, asked, loss)
    if choice is None:
        return None
    reason = f", since {choice.reason}" if choice.reason else ""
    progress(f"making the loss of {type(model).__name__} by the recipe {choice.recipe.name}{reason}")
    return recipe_entries(model, example, choice)


def sampler(model: nn.Module, recipe: RecipeEntries | None) -> str | Callable[..., Any] | None:
    """The recipe's sampler or, without a recipe, the model's; warns where there is none."""
    if recipe is None and hasattr(model, "sample"):
        return "sample"
    if recipe is not None and recipe.sample is not None:
        return recipe.sample
    found = (
        f"{type(model).__name__} has no method 'sample'" if recipe is None else f"{recipe.recipe.name} has no sampler"
    )
    warnings.warn(f"{found}: the package trains without the penalty", HyperGenWarning, stacklevel=5)
    return None


def recipe_entries(network: nn.Module, example: Any, choice: Choice) -> RecipeEntries:
    """Fits a recipe to a network and an example. Raises HG202 where the network fails on it."""
    data, model = batches(example), choice.recipe.around(network)
    try:
        recipe = choice.recipe.fitted(model, data)
    except HyperGenError:
        raise
    except Exception as error:
        raise HyperGenError(
            "HG202",
            f"the recipe {choice.recipe.name} does not fit the network and example: {type(error).__name__}: {error}",
            where=place(type(network).forward),
            remedy="Check the example's shape and type, and what the recipe says that the network takes and returns.",
        ) from error
    inputs = len(data(2))
    names = ["network", *input_names(recipe, model, inputs)]
    return RecipeEntries(
        model,
        recipe,
        choice.reason,
        with_names(recipe.loss, names),
        recipe.sample if recipe.can_sample(model, inputs) else None,
        with_names(recipe.critic_loss, names) if isinstance(recipe, Gan) else None,
    )


def input_names(recipe: Recipe, network: nn.Module, count: int) -> list[str]:
    """What the loss's inputs are called: x and, behind it, labels or the network's own names for its conditions."""
    if getattr(recipe, "classes", None) is not None and count == 2:
        return ["x", "labels"]
    taken = [name for name in recipe.conditions(network)[: count - 1] if name != "x"]
    return ["x", *taken, *(f"condition_{number}" for number in range(len(taken) + 1, count))]


def with_names(call: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """The same call with a signature that names its inputs."""

    def named(*inputs: Any) -> Any:
        return call(*inputs)

    named.__wrapped__ = call
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return named
