"""`nll` and `mixture`: densities and samples against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from hypergen_compiler.recipes.mixture import Mixture
from hypergen_compiler.recipes.nll import Nll, sampling_method

from .networks import Flow, MixtureParameters


def reference(network: MixtureParameters) -> MixtureSameFamily:
    components = Independent(Normal(network.means, network.log_scales.exp()), 1)
    return MixtureSameFamily(Categorical(logits=network.logits), components)


def test_the_loss_is_the_negative_log_likelihood():
    x = torch.randn(6, 2)
    torch.testing.assert_close(Nll().loss(Flow(), x), -Flow().log_prob(x))
    network = MixtureParameters()
    torch.testing.assert_close(Mixture().loss(network, x), -reference(network).log_prob(x))


def test_a_network_may_return_its_distribution():
    class Density(MixtureParameters):
        def forward(self):
            return reference(self)

    x = torch.randn(6, 2)
    for recipe in (Nll(), Mixture()):
        torch.testing.assert_close(recipe.loss(Density(), x), -reference(MixtureParameters()).log_prob(x))
        assert recipe.sample(Density(), 5).shape == (5, 2) and recipe.can_sample(Density(), 1)


def test_a_mixture_density_network_reads_its_condition():
    class Conditioned(nn.Module):
        def forward(self, context):
            return context, context[:, :, None] * torch.ones(3, 2), torch.zeros(len(context), 3, 2)

    context, x = torch.randn(4, 3), torch.randn(4, 2)
    components = Independent(Normal(context[:, :, None].expand(4, 3, 2), 1.0), 1)
    expected = MixtureSameFamily(Categorical(logits=context), components).log_prob(x)
    torch.testing.assert_close(Mixture().loss(Conditioned(), x, context), -expected)
    assert not Mixture().can_sample(Conditioned(), 2)


def test_mixture_samples_follow_the_density():
    network = MixtureParameters()
    samples = Mixture().sample(network, 40_000)
    expected = reference(network)
    torch.testing.assert_close(samples.mean(0), expected.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(samples.var(0), expected.variance, atol=0, rtol=0.03)
    samples.sum().backward()
    assert network.means.grad.any() and network.log_scales.grad.any() and network.logits.grad is None


def test_the_models_own_sampler_is_found():
    class Both(Flow):
        def rsample(self, sample_shape):
            return torch.zeros(*sample_shape, 2)

    class Pair(Flow):
        def rsample(self, count, temperature):
            raise AssertionError("it needs more than a count")

        def sample(self, num_samples=1):
            return torch.ones(num_samples, 2), torch.zeros(num_samples)

    class Silent(nn.Module):
        def log_prob(self, x):
            return x.sum(1)

    assert torch.equal(Nll().sample(Both(), 3), torch.zeros(3, 2))
    assert torch.equal(Nll().sample(Pair(), 3), torch.ones(3, 2))
    assert sampling_method(Silent()) is None and not Nll().can_sample(Silent(), 1)


@pytest.mark.parametrize("recipe", [Nll(), Mixture()])
def test_a_condition_leaves_no_sampler(recipe):
    assert recipe.can_sample(Flow(), 1) and not recipe.can_sample(Flow(), 2)


def test_other_outputs_are_refused():
    with pytest.raises(ValueError, match="2 tensors"):
        Mixture().loss(lambda: (torch.zeros(3), torch.zeros(3, 2)), torch.zeros(1, 2))
