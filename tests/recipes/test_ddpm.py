"""Denoising diffusion: schedules, predictions and samplers against the formulas of the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes.ddpm import Ddpm, ancestral_step, cosine_schedule, ddim_step, linear_schedule

from .networks import Denoiser, LabelledDenoiser, normal

MEAN, DEVIATION = torch.tensor([1.5, -0.5]), torch.tensor([0.3, 0.8])


class Oracle(nn.Module):
    """The best prediction there is, for data from N(MEAN, DEVIATION^2)."""

    def __init__(self, alpha_bars: Tensor, predicts: str):
        super().__init__()
        self.register_buffer("alpha_bars", alpha_bars)
        self.predicts = predicts

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        alpha_bar = self.alpha_bars[t + 1][:, None]
        gain = alpha_bar.sqrt() * DEVIATION**2 / (alpha_bar * DEVIATION**2 + 1 - alpha_bar)
        x0 = MEAN + gain * (x - alpha_bar.sqrt() * MEAN)
        noise = (x - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()
        return {"noise": noise, "x0": x0, "v": alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x0}[self.predicts]


def test_linear_schedule():
    betas = np.linspace(1e-4, 0.02, 1000)
    expected = np.concatenate([[1.0], np.cumprod(1 - betas)])
    np.testing.assert_allclose(linear_schedule(torch.arange(1001)).numpy(), expected, rtol=2e-4)
    short = linear_schedule(torch.arange(101))
    assert math.isclose(short[-1].log(), np.log(expected[-1]), rel_tol=0.1)  # as much noise in a tenth of the steps


def test_cosine_schedule():
    f = np.cos((np.arange(101) / 100 + 0.008) / 1.008 * np.pi / 2) ** 2
    expected = f / f[0]
    got = cosine_schedule(torch.arange(101)).numpy()
    np.testing.assert_allclose(got[:-1], expected[:-1], rtol=1e-3)
    assert np.isclose(got[-1], got[-2] * 1e-3, rtol=1e-3)  # the last beta is cut off at 0.999


def test_the_ancestral_step_is_bayes_rule():
    alpha_bar, earlier, x, x0 = (torch.tensor(value, dtype=torch.float64) for value in (0.3, 0.5, 0.7, -1.2))
    alpha = alpha_bar / earlier
    # q(x_s | x_t, x_0) is q(x_t | x_s) q(x_s | x_0) up to a factor: precisions add.
    precision = alpha / (1 - alpha) + 1 / (1 - earlier)
    mean = (alpha.sqrt() * x / (1 - alpha) + earlier.sqrt() * x0 / (1 - earlier)) / precision
    draws = ancestral_step(x.expand(400_000), x0, alpha_bar, earlier)
    assert torch.isclose(draws.mean(), mean, atol=5e-3)
    assert torch.isclose(draws.var(), 1 / precision, rtol=1e-2)


def test_the_last_ancestral_step_adds_no_noise():
    x, x0 = torch.randn(3, 2), torch.randn(3, 2)
    torch.testing.assert_close(ancestral_step(x, x0, torch.tensor(0.9), torch.tensor(1.0)), x0)


def test_ddim_with_all_noise_is_the_ancestral_step():
    x, x0 = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    alpha_bar, earlier = torch.tensor(0.2, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    torch.manual_seed(3)
    one = ancestral_step(x, x0, alpha_bar, earlier)
    torch.manual_seed(3)
    torch.testing.assert_close(ddim_step(x, x0, alpha_bar, earlier, eta=1.0), one)


def test_ddim_without_noise_stays_on_its_path():
    x0, noise = torch.randn(5, 2), torch.randn(5, 2)
    alpha_bar, earlier = torch.tensor(0.2), torch.tensor(0.6)
    before = torch.get_rng_state()
    moved = ddim_step(alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise, x0, alpha_bar, earlier, eta=0)
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(moved, earlier.sqrt() * x0 + (1 - earlier).sqrt() * noise)


@pytest.mark.parametrize("predicts", ["noise", "v", "x0"])
def test_every_prediction_tells_x0(predicts):
    x0, noise, alpha_bar = torch.randn(5, 2), torch.randn(5, 2), torch.tensor(0.3)
    signal, deviation = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    target = {"noise": noise, "v": signal * noise - deviation * x0, "x0": x0}[predicts]
    recipe = Ddpm(predicts=predicts, levels="any")
    torch.testing.assert_close(recipe.denoised(signal * x0 + deviation * noise, target, alpha_bar), x0)


@pytest.mark.parametrize("predicts", ["noise", "v", "x0"])
def test_the_loss_of_the_best_prediction_is_the_least_there_is(predicts):
    recipe = Ddpm(predicts=predicts, levels="any", timesteps=50, steps=50)
    alpha_bars = recipe.noising(torch.arange(recipe.timesteps + 1))
    x = MEAN + DEVIATION * torch.randn(200_000, 2)
    got = recipe.loss(Oracle(alpha_bars, predicts), x)
    a, s2 = alpha_bars[1:, None], DEVIATION**2
    x0_variance = s2 * (1 - a) / (a * s2 + 1 - a)  # of x_0 given x_t
    least = {"x0": x0_variance, "noise": x0_variance * a / (1 - a), "v": x0_variance / (1 - a)}[predicts]
    torch.testing.assert_close(got, least.mean(), rtol=2e-2, atol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler": "ddpm", "steps": 500},
        {"sampler": "ddpm", "steps": 500, "predicts": "x0", "schedule": "cosine"},
        {"sampler": "ddim", "steps": 100},
        {"sampler": "ddim", "steps": 100, "predicts": "v", "schedule": "cosine"},
        {"sampler": "ddim", "steps": 250, "eta": 0.7},
    ],
    ids=str,
)
def test_samplers_draw_from_the_data(settings):
    recipe = Ddpm(timesteps=500, levels="any", shape=(2,), **settings)
    oracle = Oracle(recipe.noising(torch.arange(recipe.timesteps + 1)), recipe.predicts)
    samples = recipe.sample(oracle, 20_000)
    torch.testing.assert_close(samples.mean(0), MEAN, atol=0.03, rtol=0)
    torch.testing.assert_close(samples.std(0), DEVIATION, atol=0, rtol=0.06)


def test_bounded_data_are_scaled_and_kept_within_their_bounds():
    recipe = Ddpm(levels="unit", shape=(2,), steps=5)
    samples = recipe.sample(Denoiser(), 50)
    assert samples.min() >= 0 and samples.max() <= 1
    seen = []
    recipe.loss(lambda x, t: seen.append(x) or x, torch.zeros(20_000, 2))
    assert seen[0].mean() < -0.2  # of -1, what is left of it


def test_levels_are_told_by_images_alone():
    images = lambda n: (torch.rand(n, 1, 4, 4),)  # noqa: E731
    assert Ddpm().fitted(Denoiser(), images).levels == "unit"
    assert Ddpm().fitted(Denoiser(), lambda n: (2 * torch.rand(n, 1, 4, 4) - 1,)).levels == "symmetric"
    assert Ddpm().fitted(Denoiser(), lambda n: (torch.rand(n, 2),)).levels == "any"
    assert Ddpm(levels="any").fitted(Denoiser(), images).levels == "any"
    assert Ddpm().fitted(Denoiser(), images).shape == (1, 4, 4)


def test_labels_come_with_the_samples():
    recipe = Ddpm(classes=3, steps=4, levels="any", shape=(2,))
    x, labels = recipe.sample(LabelledDenoiser(), 60)
    assert x.shape == (60, 2) and set(labels.tolist()) == {0, 1, 2}
    assert recipe.can_sample(LabelledDenoiser(), 2) and not Ddpm().can_sample(LabelledDenoiser(), 2)


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "square"},
        {"predicts": "y"},
        {"sampler": "euler"},
        {"steps": 2000},
        {"steps": 0},
        {"levels": "high"},
    ],
    ids=str,
)
def test_refused_settings(settings):
    with pytest.raises(HyperGenError) as caught:
        Ddpm(**settings)
    assert caught.value.code == "HG107"


def test_noise_is_not_predicted_where_it_does_not_tell_x0():
    with pytest.raises(HyperGenError, match="cosine"):
        Ddpm(schedule="cosine").fitted(Denoiser(), normal)
    assert Ddpm(schedule="cosine", levels="symmetric").fitted(Denoiser(), normal).levels == "symmetric"


def test_a_prediction_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="not the same shape"):
        Ddpm(levels="any").loss(lambda x, t: x[:, :1], torch.randn(4, 2))
