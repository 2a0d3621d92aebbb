"""Recipes: the loss and the sampler of models that are only a network, as ordinary torch code around it."""

from __future__ import annotations

from hypergen_compiler.recipes.autoregressive import Autoregressive
from hypergen_compiler.recipes.choice import RECIPES, Choice, choose, describe, make_recipe, with_critic
from hypergen_compiler.recipes.ddpm import Ddpm
from hypergen_compiler.recipes.flow_matching import FlowMatching
from hypergen_compiler.recipes.gan import Adversarial, Gan
from hypergen_compiler.recipes.mixture import Mixture
from hypergen_compiler.recipes.nll import Nll
from hypergen_compiler.recipes.pythae import Pythae
from hypergen_compiler.recipes.recipe import Recipe
from hypergen_compiler.recipes.vae import Vae

__all__ = [
    "RECIPES",
    "Adversarial",
    "Autoregressive",
    "Choice",
    "Ddpm",
    "FlowMatching",
    "Gan",
    "Mixture",
    "Nll",
    "Pythae",
    "Recipe",
    "Vae",
    "choose",
    "describe",
    "make_recipe",
    "with_critic",
]
