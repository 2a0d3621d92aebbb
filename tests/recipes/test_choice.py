"""Naming recipes, their settings, and recognising models."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes import RECIPES, Autoregressive, Ddpm, Nll, Pythae, choose, describe, make_recipe
from hypergen_compiler.recipes.entries import chosen_recipe
from hypergen_compiler.recipes.outputs import prediction

from .networks import Denoiser, Flow, normal


def library_model(module: str, name: str, **attributes) -> nn.Module:
    kind = type(name, (nn.Module,), {"__module__": module})
    model = type("Own", (kind,), {})()
    for key, value in attributes.items():
        setattr(model, key, value)
    return model


@pytest.mark.parametrize("name", RECIPES)
def test_a_description_makes_the_same_recipe(name):
    recipe = make_recipe(name)
    assert recipe == RECIPES[name]() and make_recipe(describe(recipe)) == recipe
    assert make_recipe(recipe) is recipe


def test_settings_are_taken_and_checked():
    assert make_recipe({"name": "ddpm", "steps": 7, "shape": [2, 3], "eta": 1}).shape == (2, 3)
    for asked, said in (
        ("ddpn", "ddpm, flow-matching"),
        ({"name": "ddpm", "stps": 3}, "timesteps=1000"),
        ({"name": "ddpm", "steps": "many"}, "The default is 50"),
        ({"name": "nll", "steps": 3}, "It has no settings"),
        ({"steps": 3}, "There is no recipe".lower()),
    ):
        with pytest.raises(HyperGenError, match=said) as caught:
            make_recipe(asked)
        assert caught.value.code == "HG107"


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (Flow(), Nll()),
        (library_model("zuko.lazy", "LazyDistribution"), Nll()),
        (library_model("diffusers.models.unets.unet_2d", "UNet2DModel"), Ddpm()),
        (
            library_model("transformers.models.x", "XForCausalLM", config=SimpleNamespace(bos_token_id=3)),
            Autoregressive(start=3),
        ),
        (
            library_model("transformers.models.gpt2", "GPT2LMHeadModel", config=SimpleNamespace(bos_token_id=None)),
            Autoregressive(),
        ),
        (library_model("pythae.models.base.base_model", "BaseAE"), Pythae()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_well_known_models_are_recognised(model, recipe):
    found = choose(model, None, "loss")
    assert found.recipe == recipe and found.reason


def test_nothing_is_recognised_where_a_loss_is_known():
    class WithLoss(Flow):
        def loss(self, x):
            return -self.log_prob(x)

    assert choose(WithLoss(), None, "loss") is None
    assert choose(Flow(), None, "log_prob") is None and choose(Flow(), None, None) is None
    assert choose(Denoiser(), None, "loss") is None
    assert choose(WithLoss(), "nll", "loss").reason is None


def test_the_choice_is_told():
    told = []
    found = chosen_recipe(Flow(), normal, None, "loss", told.append)
    assert found.reason in told[0] and "nll" in told[0]
    assert chosen_recipe(Denoiser(), normal, None, "loss", told.append) is None and len(told) == 1


def test_outputs_of_any_container():
    tensor, other = torch.ones(2), torch.zeros(2)
    for output in (
        tensor,
        (tensor, other),
        {"first": tensor, "second": other},
        SimpleNamespace(sample=tensor),
        SimpleNamespace(logits=tensor, loss=other),
    ):
        assert prediction(output) is tensor
    with pytest.raises(TypeError, match="without a tensor"):
        prediction(SimpleNamespace(loss=3))


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(HyperGenError, match="vae does not fit") as caught:
        chosen_recipe(Denoiser(), normal, "vae", "loss", lambda message: None)
    assert caught.value.code == "HG202" and "networks.py" in caught.value.where
