"""Denoising diffusion around a network(x_t, t), or network(x_t, t, condition).

Losses and schedules: Ho et al. (arXiv 2006.11239), Nichol and Dhariwal (arXiv 2102.09672), Salimans and Ho
(arXiv 2202.00512). Samplers: Ho et al., and Song et al. (arXiv 2010.02502).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture.steps import steps
from hypergen_compiler.recipes.levels import centred, check_levels, found_levels, restored
from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Conditional, Example, given, refuse_unless

__all__ = ["Ddpm", "ancestral_step", "cosine_schedule", "ddim_step", "linear_schedule"]

LARGEST_BETA = 0.999  # a step that kept nothing could not be undone
SCHEDULES = ("linear", "cosine")
PREDICTIONS = ("noise", "v", "x0")
SAMPLERS = ("ddim", "ddpm")


@dataclass(frozen=True)
class Ddpm(Conditional):
    """q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t), undone by a network that reads x_t and t in 0..T-1.

    `timesteps` is T, `schedule` linear or cosine. The network `predicts` noise, x0, or v = sqrt(alpha_bar) noise -
    sqrt(1 - alpha_bar) x_0. The `sampler` is ddpm (ancestral) or ddim, in `steps` steps spread evenly over the
    timesteps; `eta` is the share of the ancestral noise that ddim adds. `levels` is the range of the data: unit,
    symmetric, any, or auto to tell by the example. Bounded data are scaled to [-1, 1], and while sampling what is
    predicted for x_0 is clamped to it.
    """

    name: ClassVar[str] = "ddpm"
    made: ClassVar[int] = 2

    timesteps: int = 1000
    schedule: str = "linear"
    predicts: str = "noise"
    sampler: str = "ddim"
    steps: int = 50
    eta: float = 0.0
    levels: str = "auto"

    def __post_init__(self) -> None:
        for setting, known in (("schedule", SCHEDULES), ("predicts", PREDICTIONS), ("sampler", SAMPLERS)):
            what = f"ddpm: {setting}={getattr(self, setting)!r} is not understood"
            refuse_unless(getattr(self, setting) in known, what, f"It is {' or '.join(known)}.")
        refuse_unless(
            0 < self.steps <= self.timesteps,
            f"ddpm: sampling in {self.steps} steps does not go with {self.timesteps} timesteps",
            "Give `steps` between 1 and `timesteps`.",
        )
        check_levels(self.levels)

    def fitted(self, network: nn.Module, example: Example) -> Ddpm:
        """Raises HG107 where x_0 would be had by dividing by almost nothing: a cosine schedule ends in pure noise."""
        found = replace(super().fitted(network, example), levels=found_levels(self.levels, example))
        refuse_unless(
            (found.schedule, found.predicts, found.levels) != ("cosine", "noise", "any"),
            "ddpm: under the cosine schedule, noise predicted for data without bounds does not give x_0",
            "Give `levels=unit` or `levels=symmetric` if the data are bounded, or `predicts=v`, or `schedule=linear`.",
        )
        return found

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, *shape] -> the mean squared error of the prediction at random timesteps"""
        x = centred(x, self.levels)
        t = torch.randint(self.timesteps, (x.shape[0],), device=x.device)
        alpha_bars = self.noising(torch.arange(self.timesteps + 1, device=x.device))
        alpha_bar = alpha_bars[t + 1].view(-1, *[1] * (x.ndim - 1))
        noise = torch.randn_like(x)
        noisy = alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * noise
        predicted = prediction(network(noisy, t, *condition))
        if predicted.shape != x.shape:
            raise ValueError(f"the network returns {list(predicted.shape)} for x_t {list(x.shape)}, not the same shape")
        if self.predicts == "noise":
            return F.mse_loss(predicted, noise)
        if self.predicts == "v":
            return F.mse_loss(predicted, alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x)
        return F.mse_loss(predicted, x)

    @torch.no_grad()
    def generate(self, network: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Noise [n, *shape] -> items [n, *shape]"""
        times = torch.linspace(self.timesteps, 0, self.steps + 1, device=x.device).round().long()
        alpha_bars = self.noising(torch.arange(self.timesteps + 1, device=x.device))[times]
        for i in steps(self.steps):
            alpha_bar, next_alpha_bar = alpha_bars[i], alpha_bars[i + 1]
            t = (times[i] - 1).expand(x.shape[0])
            predicted = prediction(network(x, t, *given(labels)))
            x0 = self.denoised(x, predicted, alpha_bar)
            if self.sampler == "ddpm":
                x = ancestral_step(x, x0, alpha_bar, next_alpha_bar)
            else:
                x = ddim_step(x, x0, alpha_bar, next_alpha_bar, self.eta)
        return restored(x, self.levels)

    def noising(self, t: Tensor) -> Tensor:
        """alpha_bar at t = 0..T, the number of noising steps done, [T + 1]"""
        return cosine_schedule(t) if self.schedule == "cosine" else linear_schedule(t)

    def denoised(self, x: Tensor, predicted: Tensor, alpha_bar: Tensor) -> Tensor:
        """What the network's prediction at x_t says about x_0, within the data's bounds."""
        if self.predicts == "noise":
            x0 = (x - (1 - alpha_bar).sqrt() * predicted) / alpha_bar.sqrt()
        elif self.predicts == "v":
            x0 = alpha_bar.sqrt() * x - (1 - alpha_bar).sqrt() * predicted
        else:
            x0 = predicted
        return x0 if self.levels == "any" else x0.clamp(-1, 1)


def linear_schedule(t: Tensor) -> Tensor:
    """alpha_bar at t = 0..T, [T + 1], for betas from 1e-4 to 0.02 at T = 1000, and as much noise in all at others."""
    timesteps = t.shape[0] - 1
    scale = 1000 / timesteps
    betas = scale * 1e-4 + t[:-1] * (scale * (0.02 - 1e-4) / max(1, timesteps - 1))
    return F.pad((1 - betas.clamp(max=LARGEST_BETA)).cumprod(0), (1, 0), value=1.0)


def cosine_schedule(t: Tensor) -> Tensor:
    """alpha_bar at t = 0..T, [T + 1]: cos^2((t/T + 0.008) / 1.008 * pi/2), scaled to start at 1."""
    share = t / (t.shape[0] - 1)
    signal = ((share + 0.008) * (math.pi / 2 / 1.008)).cos().square()
    betas = 1 - signal[1:] / signal[:-1]
    return F.pad((1 - betas.clamp(max=LARGEST_BETA)).cumprod(0), (1, 0), value=1.0)


def ancestral_step(x: Tensor, x0: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor) -> Tensor:
    """A draw from q(x_s | x_t, x_0), equation 7 of Ho et al., from alpha_bar at t to that at an earlier s."""
    alpha = alpha_bar / next_alpha_bar
    mean = next_alpha_bar.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - next_alpha_bar) * x
    variance = (1 - alpha) * (1 - next_alpha_bar) / (1 - alpha_bar)
    return mean / (1 - alpha_bar) + variance.sqrt() * torch.randn_like(x)


def ddim_step(x: Tensor, x0: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, eta: float) -> Tensor:
    """Equation 12 of Song et al., from alpha_bar at t to that at an earlier s; with eta = 1 the ancestral step."""
    noise = (x - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()
    if eta == 0:
        return next_alpha_bar.sqrt() * x0 + (1 - next_alpha_bar).sqrt() * noise
    variance = eta**2 * (1 - alpha_bar / next_alpha_bar) * (1 - next_alpha_bar) / (1 - alpha_bar)
    mean = next_alpha_bar.sqrt() * x0 + (1 - next_alpha_bar - variance).sqrt() * noise
    return mean + variance.sqrt() * torch.randn_like(x)
