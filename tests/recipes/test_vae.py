"""Variational autoencoders: the bound term by term against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes.vae import Vae, divergence, found_likelihood

from .networks import SmallVAE


@pytest.mark.parametrize("likelihood", ["bernoulli", "bernoulli-logits", "gaussian"])
def test_the_loss_is_the_negative_bound(likelihood):
    network = SmallVAE(probabilities=likelihood == "bernoulli")
    x = torch.rand(5, 6)
    torch.manual_seed(1)
    got = Vae(likelihood=likelihood, scale=0.7, shape=(6,)).loss(network, x)
    torch.manual_seed(1)
    reconstruction, mean, log_variance = network(x)
    density = {
        "bernoulli": lambda: Bernoulli(probs=reconstruction, validate_args=False),
        "bernoulli-logits": lambda: Bernoulli(logits=reconstruction, validate_args=False),
        "gaussian": lambda: Normal(reconstruction, 0.7),
    }[likelihood]()
    prior = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(got, prior - density.log_prob(x).sum(1))


def test_the_divergence_of_the_prior_from_itself_is_zero():
    assert not divergence(torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)).any()


def test_latents_decoder_and_likelihood_are_found():
    found = Vae().fitted(SmallVAE(probabilities=True), lambda n: (torch.rand(n, 6),))
    assert found == Vae(shape=(6,), likelihood="bernoulli", decoder="decode", latent=(2,))
    assert Vae().fitted(SmallVAE(), lambda n: (torch.rand(n, 6),)).likelihood == "bernoulli-logits"
    assert found_likelihood(torch.randn(100), torch.zeros(1)) == "gaussian"


def test_samples_are_decoded_from_the_prior():
    network = SmallVAE()
    recipe = Vae(likelihood="bernoulli-logits", shape=(2, 3), decoder="decode", latent=(2,))
    torch.manual_seed(2)
    samples = recipe.sample(network, 7)
    torch.manual_seed(2)
    expected = network.decode(torch.randn(7, 2)).sigmoid().view(7, 2, 3)
    torch.testing.assert_close(samples, expected)
    assert samples.requires_grad


def test_without_a_decoder_there_is_no_sampler():
    class Opaque(SmallVAE):
        decode = None

        def __init__(self):
            super().__init__()
            self.inner = self.decoder
            self.decoder = None

        def forward(self, x):
            mean, log_variance = self.encoder(x).chunk(2, dim=1)
            return self.inner(mean), mean, log_variance

    found = Vae().fitted(Opaque(), lambda n: (torch.rand(n, 6),))
    assert found.decoder is None and not found.can_sample(Opaque(), 1)


def test_refusals():
    for settings in ({"likelihood": "poisson"}, {"scale": 0.0}):
        with pytest.raises(HyperGenError, match="HG107"):
            Vae(**settings)
    with pytest.raises(HyperGenError, match="'generate'"):
        Vae(decoder="generate").fitted(SmallVAE(), lambda n: (torch.rand(n, 6),))
    with pytest.raises(ValueError, match="not a reconstruction"):
        Vae(likelihood="gaussian").loss(lambda x: (x, x), torch.rand(2, 6))
