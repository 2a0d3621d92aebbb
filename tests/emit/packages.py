"""Small packages that tests of the training side share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.files import emit
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import left_out, plan

__all__ = ["Moments", "Quiet", "Statistics", "publish"]


class Quiet(nn.Module):
    """Draws no random numbers, so that several processes may do what one does; samples differ by their place."""

    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.tanh(self.norm(self.up(x))))

    def loss(self, x: Tensor) -> Tensor:
        return (self(x) - x).square().sum(1).mean()

    def sample(self, n: int) -> Tensor:
        return self((torch.arange(n) % 2).float().unsqueeze(1).expand(-1, 5))


class Moments(nn.Module):
    """A statistical model, whose samples differ by their place."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_scale = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

    def loss(self, x: Tensor) -> Tensor:
        return (0.5 * ((x - self.mean) / self.log_scale.exp()).square() + self.log_scale).sum(1).mean()

    def sample(self, n: int) -> Tensor:
        return self.mean + self.log_scale.exp() * (2.0 * (torch.arange(n) % 2) - 1).unsqueeze(1)


class Statistics(nn.Module):
    """Keeps running statistics of its input, and a constant."""

    def __init__(self):
        super().__init__()
        self.norm, self.down = nn.BatchNorm1d(5), nn.Linear(5, 5)
        self.register_buffer("places", torch.rand(5))

    def loss(self, x: Tensor) -> Tensor:
        return (self.down(self.norm(x)) - self.places).square().sum(1).mean()

    def sample(self, n: int) -> Tensor:
        return self.down(torch.randn(n, 5))


def publish(
    model: nn.Module, path: Path, head: str, width: int = 5, example: Callable[[int], Tensor] | None = None
) -> None:
    """Writes the package of a model, of vectors [n, width] or what `example` gives, to a folder of its name."""
    points = entry_points(model, example or (lambda n: torch.randn(n, width)), loss="loss", sample="sample")
    program = capture(model, points, name=path.name, source="Model()", loss="loss", sample="sample")
    chosen = plan(program, lay_out(program), head=head)
    path.mkdir()
    for name, content in emit(program, lay_out(program, left_out(program, head)), chosen).items():
        (path / name).write_bytes(content)
