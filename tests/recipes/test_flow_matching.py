"""Flow matching on a Gaussian, whose velocity field is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes.flow_matching import FlowMatching

MEAN, DEVIATION = torch.tensor([1.5, -0.5]), torch.tensor([0.3, 0.8])


class Field(nn.Module):
    """E[x - noise | x_t = (1 - t) noise + t x] for x from N(MEAN, DEVIATION^2)."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = t[:, None]
        variance = (1 - t) ** 2 + t**2 * DEVIATION**2
        covariance = t * DEVIATION**2 - (1 - t)  # of x - noise with x_t
        return MEAN + covariance / variance * (x - t * MEAN)


def error_of(solver: str, count: int) -> Tensor:
    """How far the samples are from those of the exact flow, x = MEAN + DEVIATION * noise."""
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    recipe = FlowMatching(solver=solver, steps=count, levels="any", shape=(2,))
    return (recipe.generate(Field(), noise) - (MEAN + DEVIATION * noise)).abs().mean()


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_solvers_converge_at_their_order(solver, order):
    coarse, fine = error_of(solver, 32), error_of(solver, 64)
    assert fine < 0.02
    assert 2**order * 0.8 < coarse / fine < 2**order * 1.25


def test_samples_recover_mean_and_deviation():
    samples = FlowMatching(levels="any", shape=(2,)).sample(Field(), 20_000)
    torch.testing.assert_close(samples.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(samples.std(0), DEVIATION, atol=0.02, rtol=0)


def test_the_loss_of_the_true_field_is_the_least_there_is():
    x = MEAN + DEVIATION * torch.randn(200_000, 2)
    t = torch.linspace(0, 1, 2001)[:, None]
    s2 = DEVIATION**2
    variance = (1 - t) ** 2 + t**2 * s2
    least = s2 + 1 - (t * s2 - (1 - t)) ** 2 / variance  # the variance of x - noise given x_t
    recipe = FlowMatching(levels="any")
    torch.testing.assert_close(
        recipe.loss(Field(), x), torch.trapezoid(least, dx=1 / 2000, dim=0).mean(), rtol=0.02, atol=0
    )
    assert recipe.loss(lambda x, t: Field()(x, t) + 0.1, x) > recipe.loss(Field(), x)


def test_the_network_sees_time_on_its_own_scale():
    seen = []

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return x

    FlowMatching(time_scale=1000.0, levels="any", steps=4, shape=(2,)).sample(network_of(network), 3)
    assert [t[0].item() for t in seen] == [0, 250, 500, 750] and seen[0].shape == (3,)


def network_of(function) -> nn.Module:
    class Network(nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor:
            return function(*inputs)

    return Network()


@pytest.mark.parametrize("settings", [{"solver": "midpoint"}, {"steps": 0}, {"levels": ""}], ids=str)
def test_refused_settings(settings):
    with pytest.raises(HyperGenError) as caught:
        FlowMatching(**settings)
    assert caught.value.code == "HG107"
