"""Small models for what the compiler seldom has to write: other names, other numbers, other records."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Drawn", "Named", "Numbers", "Recorded", "Regression", "Sized"]


class Numbers(nn.Module):
    """Numbers that follow the batch size in every way, that are formulas, and that calls differ by."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.low = 0.25

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        h = self.fc(x) * (1 / n) + x * math.sqrt(n) - x * (2.5 / n) + x * math.log(3 * n)
        h = h * (1 - 1 / n) + (n / 3) - h / (n - 1) + h * (0.5 * n + 2) - h * -math.log(n) + h**n
        h = h * (n / 4 - 0.5) + (2 * n - 1) * h + float(n) + 1000000.0 / n - h * (1 / (n - 1) - 0.001) * (3 - 2 * n)
        h = (
            h
            + torch.linspace(0, 1, 2 * n + 4)[:n, None]
            + torch.arange(n // 2).sum()
            + torch.zeros(n - n // 2, 1).sum()
        )
        return h.repeat(2, 1)[: 2 * n - 1].roll(n, 0)[-n:] + torch.eye(n) @ h

    def formulas(self, x: Tensor) -> Tensor:
        eps, tau = torch.finfo(torch.float32).eps, 2 * math.pi
        h = self.fc(x).clamp(eps, 1 - eps) * math.sqrt(3) + x / math.sqrt(5) * 5**-0.5 + math.log(7) - 0.1 * x
        h = h * math.pi + (x * tau).sin() * math.sqrt(2 / math.pi) + x * math.sqrt(tau) - x ** -math.sqrt(2)
        h = h + 0.5 * math.log(tau) - 1.5 * math.log(tau) * x + 2 * math.log(tau) + math.log(tau) - -math.log(11) * h
        waves = torch.exp(torch.arange(4) * (-math.log(10000) / 7)) * math.sqrt(999_999) * 1e-7 * 1e20
        turned = h * (1.5 - 0.5j) + x * 2j
        return turned.abs() + waves * float("inf") ** -1 - self.training * x + (3 if self.training else -4) * h

    def between(self, x: Tensor, low: float, high: float = 2.0) -> Tensor:
        return x.clamp(low, high) + F.leaky_relu(x, low) - low * x

    def rolled(self, x: Tensor, by: int = 1) -> Tensor:
        return x.roll(by, 1) + torch.add(x, x.sin(), alpha=by) + x.narrow(1, by, 1)

    def powered(self, x: Tensor, power: float) -> Tensor:
        return (power - x) / power + F.softplus(x, beta=power) + x.new_full((4,), power) + x.mul(power)

    def reflected(self, x: Tensor, index: int) -> Tensor:
        return x[:, index : index + 2].repeat(1, 2) + index / (x.square() + 1) + self.low**x

    def calls(self, x: Tensor) -> Tensor:
        x = self.between(x, 0.1) + self.between(x, -0.2, self.low) - self.between(x, 0.3, 4.5)
        x = self.rolled(x) + self.rolled(x, 2) - self.rolled(x, by=3) + self.powered(x, 2.0) * self.powered(x, 3.5)
        x = (self.reflected(x, 0) + self.reflected(x, 1)) * self.reflected(x, 2)
        for i in range(5):
            x = self.fc(x) * (2 * i + 1) - x * (3 - i) + x[:, i % 4 : i % 4 + 1] * (0.5 - 0.25 * i) + x * -i
        for i in reversed(range(4)):
            x = self.fc(x) * i - x
        return x


class Scale:
    """What is no module, and holds one."""

    def __init__(self, module: nn.Module, factor: float):
        self.module, self.factor = module, factor

    def __call__(self, x: Tensor) -> Tensor:
        scaled = self.module(x)
        return scaled * self.factor


class Attention(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.process = Scale(self.inner, factor)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> tuple[Tensor, Tensor]:
        result = self.process(x)
        return result if residual is None else result + residual, x.mean(-1, keepdim=True)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    first, second = x.chunk(2, -1)
    return first.exp(), second


def centred(x: Tensor) -> Tensor:
    middle = x.mean(-1, keepdim=True)
    return (x - middle).relu() * middle + middle


def mixed(x: Tensor, weight: Tensor) -> Tensor:
    x = x + x.sin()
    before = x
    x = before.cos() * weight
    x = x + before.tanh()
    return x * before + x


class Named(nn.Module):
    """Values that get their names from statements, callers, callees, arguments, lists and keys, or from nowhere."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.a, self.b, self.c = (nn.Parameter(torch.rand(4)) for _ in range(3))
        self.stages = nn.ModuleList([nn.ModuleList([Attention(0.5), nn.Linear(4, 4)]) for _ in range(3)])
        self.op = nn.ModuleDict({"x": nn.Linear(4, 4), "y": nn.Linear(4, 4)})
        self.h = nn.ModuleList([nn.Sequential(nn.Linear(4, 4)) for _ in range(2)])
        self.shapes = nn.ModuleList([Attention(0.25) for _ in range(3)])

    def moments(self, x: Tensor) -> dict[str, Tensor]:
        centre = x.mean(-1, keepdim=True)
        return {"centre": centre.tanh(), "spread": (x - centre).square().mean(-1, keepdim=True)}

    def stacked(self, x: Tensor, by: Tensor) -> Tensor:
        residual = x
        x = self.first(x) * by
        x = x.sigmoid() * x
        x = x.tanh() * x
        x = x.sin() * x
        return residual + x * by

    def shaped(self, x: Tensor, kind: Tensor, mask: Tensor, exact: Tensor, phase: Tensor, rate: float) -> Any:
        x = torch.where(mask, x, x * rate) + F.one_hot(kind, 4)
        for scale in (self.a, self.b, self.c):
            x = (x * scale.contiguous()).sin()
        for shaper in self.shapes:
            x, _ = shaper(x)
        for shaper in self.shapes[::2]:
            x, height = shaper(x, x)
            x = x + height
        known = self.moments(x)
        later = self.moments(known["spread"] * x)
        stacked = self.stacked(x, known["centre"]) + self.stacked(later["centre"] * x, later["spread"])
        return {0.5: stacked * known["spread"], ("a", 1): exact.sum(), None: {"b": phase.abs() * 2, True: [x, rate]}}

    def forward(self, x: Tensor, unused: Tensor) -> dict[str, Any]:
        scale, shift = halves(self.first(x))
        _, *rest = torch.cat([scale, shift, x], -1).split(2, -1)
        (left, right), last = halves(x), rest[-1]
        x = mixed(x, self.a) + centred(mixed(x, self.b)) - centred(torch.cat([left, right, last], -1)).sum(-1)[:, None]
        skip = x
        x = self.third(self.second(self.first(x).relu()).relu()).relu()
        x = x * self.a * self.b * self.c
        for attention, fc in self.stages:
            x, mean = attention(x, skip)
            x = fc(x) * mean
        for key, fn in self.op.items():
            x = fn(x) + len(key)
        total = sum(layer(x) for layer in self.h)
        return {
            "total": total.norm(),
            "parts": [halves(total), torch.std_mean(x, 0)],
            "values": torch.sort(total),
            "skip": skip,
        }

    def several(self, x: Tensor, y: Tensor | None = None) -> Any:
        attended, mean = self.stages[0][0](x)
        other = self.stages[1][0](attended, x)[0]
        found = torch.max(other, -1)
        q, k, v = torch.stack([attended, other, x]).unbind()
        h = (q @ k.mT).softmax(-1) @ v
        mean = h.mean(-1) - mean.squeeze(-1)
        values, h = torch.topk(h, 2)
        return values * found.values[:, None], h + found.indices[:, None], mean.flatten().outer(mean).sum() + centred(x)


class Counted(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.count, self.index = nn.Parameter(torch.rand(width)), nn.Parameter(torch.rand(width))
        self.register_buffer("read", torch.arange(width) / width)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.count + self.index * self.read


class Recorded(nn.Module):
    """Records of every kind: numbered layers, lists of two classes, lists in lists, names that are taken."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 4, 1), nn.GroupNorm(2, 4), nn.PReLU(), nn.Sequential(nn.Conv1d(4, 4, 3, padding=1))
        )
        self.readers = nn.ModuleList([Counted(4), nn.BatchNorm1d(4), Counted(4), nn.BatchNorm1d(4)])
        self.grid = nn.ModuleList([nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]) for _ in range(2)])
        self.mixed_parts = nn.Sequential(Counted(4), nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), Counted(4)))
        self.vectors = nn.ParameterDict({"left": nn.Parameter(torch.rand(4)), "class": nn.Parameter(torch.rand(4))})
        self.normal = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.embed = nn.ModuleDict({"first": nn.EmbeddingBag(5, 4), "self": nn.Bilinear(4, 4, 4)})
        for name in ("$", "$$"):
            self.register_parameter(name, nn.Parameter(torch.rand(4)))
            self.register_buffer(name * 3, torch.ones(4))
            self.add_module(name * 5, Counted(4))
            self.add_module(name * 7, nn.ModuleList([Counted(4), Counted(4)]))
        self.w, self.Weights = nn.Parameter(torch.rand(4)), nn.Linear(4, 4)
        for name in ("count", "tensors", "stored", "training_"):
            self.register_buffer(name, torch.arange(4) + 0.5)
        self.readers.register_buffer("alone", torch.ones(4))
        self.register_buffer("turn", torch.tensor([1 + 2j, 3 - 1j, 0.5j, -1]))
        self.register_buffer("empty", torch.zeros(0, 4))
        self.register_buffer("halves", torch.tensor([0.5, -1.0, float("inf")], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x[:, :, None])[:, :, 0]
        for reader in self.readers:
            x = reader(x)
        for row in self.grid:
            for layer in row:
                x = layer(x)
        x = self.normal(self.mixed_parts(x)) * self.vectors["left"] + self.vectors["class"] + self.w
        x = self.embed["self"](x, x) + self.embed["first"].weight.sum(0) + self.Weights(x)
        x = x * self.count + self.tensors + self.stored * self.training_ + self.readers.alone
        for name in ("$", "$$"):
            x = x * getattr(self, name) + getattr(self, name * 3)
            for part in (getattr(self, name * 5), *getattr(self, name * 7)):
                x = part(x)
        return x + self.turn.real * self.halves.float()[0] + self.empty.sum()


class Batch(NamedTuple):
    pictures: Tensor
    labels: Tensor


class Drawn(nn.Module):
    """Items of two tensors, and a sampler that draws both beside something else."""

    def __init__(self):
        super().__init__()
        self.up, self.norm, self.table = nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Embedding(5, 3)
        self.calm, self.grouped = nn.LayerNorm(16), nn.GroupNorm(4, 16)
        self.double()

    def loss(self, x: Tensor, y: Tensor, kind: Tensor, place: Tensor, n: int) -> Tensor:
        h = self.norm(self.up(self.table(y) + x.mean() + F.one_hot(kind, 3) + F.one_hot(place, 3).sum(1)))
        h = self.grouped(self.calm(h))
        return (h.view(-1, 1, 4, 4) - x).square().flatten(1).sum(1) / n

    def sample(self, n: int, temperature: float = 0.5) -> Batch:
        noise = torch.randn(n, 3, dtype=torch.float64) * temperature
        return Batch(self.norm(self.up(noise)).view(n, 1, 4, 4), torch.arange(n) % 5)


class Regression(nn.Module):
    """A statistical model of pairs."""

    def __init__(self):
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.tensor([0.5, 1.0])), nn.Parameter(torch.zeros(1))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return (x * self.slope + self.offset - y).square().sum(1).mean()


class Sized(nn.Module):
    """Pictures of any side."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.place = nn.Parameter(torch.rand(1, 2, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n, _, side, _ = x.shape
        h = F.gelu(self.down(x + self.place))
        flat = h.flatten(2).transpose(1, 2) / (side * side)
        grid = torch.linspace(-1, 1, side)[None, :] * torch.arange(side + 1)[1:, None]
        places = torch.arange(side * 2 - 1)[side - 1 :] + torch.zeros(n * side, 1).sum()
        mixed = flat.reshape(n * (side // 2) ** 2, 4).view(n, side // 2, side // 2, 4).permute(0, 3, 1, 2)
        return self.up(mixed)[..., :side, :side] * grid + places / side, h.mean((2, 3))
