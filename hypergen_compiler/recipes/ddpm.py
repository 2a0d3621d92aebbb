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
from hypergen_compiler.recipes.recipe import Conditional, Example, refuse_unless

__all__ = ["Ddpm", "ancestral_step", "cosine_schedule", "ddim_step", "linear_schedule"]

LARGEST_BETA = 0.999  # a last step that keeps nothing could not be undone


@dataclass(frozen=True)
class Ddpm(Conditional):
    """q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t), undone by a network that sees x_t and t in 0..T-1.

    `timesteps` is T and `schedule` linear or cosine. The network `predicts` the noise, v = sqrt(alpha_bar) noise -
    sqrt(1 - alpha_bar) x_0, or x0. The `sampler` is ddpm (ancestral) or ddim, on `steps` timesteps evenly spread; `eta`
    is the share of the ancestral noise that ddim adds. `levels` tells the range of the data (unit, symmetric, any, or
    auto): bounded data are scaled to [-1, 1], and what is predicted for x_0 in sampling is clamped to it.
    """

    name: ClassVar[str] = "ddpm"

    timesteps: int = 1000
    schedule: str = "linear"
    predicts: str = "noise"
    sampler_name: str = "ddim"
    steps: int | None = None
    eta: float = 0.0
    levels: str = "auto"
