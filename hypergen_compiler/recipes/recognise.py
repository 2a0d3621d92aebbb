"""Models of well-known libraries, and models that have a likelihood: which recipe suits them, and why."""

from __future__ import annotations

from torch import nn

from hypergen_compiler.recipes.autoregressive import Autoregressive
from hypergen_compiler.recipes.ddpm import Ddpm
from hypergen_compiler.recipes.nll import Nll
from hypergen_compiler.recipes.pythae import Pythae
from hypergen_compiler.recipes.recipe import Recipe

__all__ = ["recognise"]

CAUSAL_MODELS = ("ForCausalLM", "LMHeadModel")


def recognise(network: nn.Module) -> tuple[Recipe, str] | None:
    """A recipe and what it was recognised by, None for a network that could be anything."""
    kinds = [(kind.__module__, kind.__name__) for kind in type(network).__mro__]
    if callable(getattr(network, "log_prob", None)):
        return Nll(), "it has a method log_prob"
    if any(module.startswith("zuko.") and name == "LazyDistribution" for module, name in kinds):
        return Nll(), "it is a distribution of zuko"
    if any(module.startswith("diffusers.models.unets.") for module, _ in kinds):
        return Ddpm(), "it is a U-Net of diffusers"
    if any(module.startswith("transformers.") and name.endswith(CAUSAL_MODELS) for module, name in kinds):
        start = getattr(network.config, "bos_token_id", None)
        recipe = Autoregressive(start=start) if isinstance(start, int) else Autoregressive()
        return recipe, "it is a causal language model of transformers"
    if any(module.startswith("pythae.") and name == "BaseAE" for module, name in kinds):
        return Pythae(), "it is a model of pythae, whose forward pass returns its loss"
    return None
