"""Flow matching around a network(x_t, t), or network(x_t, t, condition), that predicts a velocity.

Lipman et al. (arXiv 2210.02747), with the straight paths of rectified flow (Liu et al., arXiv 2209.03003).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.capture.steps import steps
from hypergen_compiler.recipes.levels import centred, check_levels, found_levels, restored
from hypergen_compiler.recipes.outputs import prediction
from hypergen_compiler.recipes.recipe import Conditional, Example, given, refuse_unless

__all__ = ["FlowMatching"]


@dataclass(frozen=True)
class FlowMatching(Conditional):
    """x_t = (1 - t) noise + t x for t in [0, 1]; the network predicts dx_t/dt = x - noise, which sampling integrates.

    The `solver` is euler or heun, in `steps` equal steps. The network is given t times `time_scale`: 1000 suits one
    whose embedding of t is made for timesteps. `levels` is the range of the data: unit, symmetric, any, or auto to tell
    by the example; bounded data are scaled to [-1, 1], and samples clamped.
    """

    name: ClassVar[str] = "flow-matching"
    made: ClassVar[int] = 2

    solver: str = "euler"
    steps: int = 50
    time_scale: float = 1.0
    levels: str = "auto"

    def __post_init__(self) -> None:
        known = self.solver in ("euler", "heun")
        refuse_unless(known, f"flow-matching: solver={self.solver!r} is not understood", "It is euler or heun.")
        refuse_unless(self.steps > 0, f"flow-matching: steps={self.steps}", "Give at least 1 step.")
        check_levels(self.levels)

    def fitted(self, network: nn.Module, example: Example) -> FlowMatching:
        return replace(super().fitted(network, example), levels=found_levels(self.levels, example))

    def loss(self, network: nn.Module, x: Tensor, *condition: Tensor) -> Tensor:
        """x [n, *shape] -> the mean squared error of the velocity at random times"""
        x = centred(x, self.levels)
        noise = torch.randn_like(x)
        t = torch.rand(x.shape[0], device=x.device)
        share = t.view(-1, *[1] * (x.ndim - 1))
        velocity = self.velocity_at(network, (1 - share) * noise + share * x, t, *condition)
        if velocity.shape != x.shape:
            raise ValueError(f"the network returns {list(velocity.shape)} for x_t {list(x.shape)}, not the same shape")
        return F.mse_loss(velocity, x - noise)

    @torch.no_grad()
    def generate(self, network: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Noise [n, *shape] -> items [n, *shape]"""
        times = torch.linspace(0, 1, self.steps + 1, device=x.device)
        for i in steps(self.steps):
            velocity = self.velocity_at(network, x, times[i].expand(x.shape[0]), *given(labels))
            ahead = x + velocity / self.steps
            if self.solver == "euler":
                x = ahead
            else:
                velocity_ahead = self.velocity_at(network, ahead, times[i + 1].expand(x.shape[0]), *given(labels))
                x = x + (velocity + velocity_ahead) / (2 * self.steps)
        return restored(x, self.levels)

    def velocity_at(self, network: nn.Module, x: Tensor, t: Tensor, *condition: Tensor) -> Tensor:
        scaled = t if self.time_scale == 1 else t * self.time_scale
        return prediction(network(x, scaled, *condition))
