"""Small models that between them need most of what the compiler can write, for a look at every word of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.recipes import Gan

from .rarer import Drawn, Named, Numbers, Recorded, Regression, Sized

__all__ = ["CASES", "Case"]


class Vectors(nn.Module):
    """What the other packages are compared with: two layers, one dataset of vectors."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.tanh(self.up(x)))

    def loss(self, x: Tensor) -> Tensor:
        return F.mse_loss(self(x), x)

    def sample(self, n: int) -> Tensor:
        return self(torch.randn(n, 4))


class Residual(nn.Module):
    def __init__(self, width: int, scale: float):
        super().__init__()
        self.conv, self.norm, self.scale = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), scale
        self.gate = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = F.relu(self.norm(self.conv(x)))
        return residual + self.scale * x * self.gate.view(1, -1, 1, 1)


class Pictures(nn.Module):
    """Large pictures through lists of blocks, of which some are skipped or gone through backwards."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, stride=4)
        self.blocks = nn.ModuleList([Residual(4, 0.5 + i) for i in range(4)])
        self.tail = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) for _ in range(3)])
        self.mean = nn.Linear(4, 5)
        self.decoder = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3))

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        h, kept = self.stem(x), []
        for block in self.blocks:
            h = block(h)
        for block in self.blocks[1:3]:
            kept.append(block(h).mean((2, 3)))
        h = h.mean((2, 3))
        for layer in reversed(self.tail):
            h = layer(h).tanh()
        return self.mean(h), kept

    def loss(self, x: Tensor) -> Tensor:
        mean, kept = self.encode(x)
        return (x.mean((2, 3)) - self.decoder(mean)).square().sum(1) + torch.cat(kept, 1).square().mean(1)

    def sample(self, n: int) -> Tensor:
        return self.decoder(torch.randn(n, 5)).view(n, 3, 1, 1).expand(n, 3, 36, 36)


class Sentences(nn.Module):
    """Tokens of any length and labels, with tied and frozen weights, and numbers that are formulas."""

    def __init__(self):
        super().__init__()
        self.table, self.kinds = nn.Embedding(11, 8), nn.Embedding(4, 8).requires_grad_(False)
        self.attention = nn.Linear(8, 24, bias=False)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.table.weight
        self.offset = nn.Parameter(torch.zeros(8))
        self.register_buffer("frequencies", torch.exp(torch.arange(4) * -math.log(10000) / 4))

    def forward(self, tokens: Tensor, kind: Tensor, temperature: float = 1.0) -> Tensor:
        n, length = tokens.shape
        angles = torch.arange(length)[:, None] * self.frequencies
        places = torch.cat([angles.sin(), angles.cos()], 1) + self.offset.detach()
        h = self.table(tokens) * math.sqrt(8) + places + self.kinds(kind)[:, None]
        q, k, v = self.attention(h).view(n, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(4)
        mask = torch.full((length, length), float("-inf")).triu(1)
        mixed = (scores + mask).softmax(-1) @ v
        return self.head(h + mixed.transpose(1, 2).reshape(n, length, 8)) / temperature

    def loss(self, tokens: Tensor, kind: Tensor, temperature: float = 1.0) -> Tensor:
        logits = self(tokens[:, :-1], kind, temperature)
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


class Gaussian(nn.Module):
    """A statistical model."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_scale = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

    def loss(self, x: Tensor) -> Tensor:
        return (0.5 * ((x - self.mean) * torch.exp(-self.log_scale)).square() + self.log_scale).sum(1).mean()

    def sample(self, n: int) -> Tensor:
        return self.mean + self.log_scale.exp() * torch.randn(n, 2)


class Pair(NamedTuple):
    first: Tensor
    second: Any


@dataclass
class Output:
    value: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Everything(nn.Module):
    """Buffers of all kinds, containers, modes, writes, and calls that hand numbers over."""

    def __init__(self):
        super().__init__()
        self.fc, self.drop = nn.Linear(4, 4), nn.Dropout(0.3)
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("ones", torch.ones(3, 4))
        self.register_buffer("mask", torch.tensor([True, False, True, True]), persistent=False)
        self.register_buffer("codes", torch.full((20,), 7))
        self.register_buffer("noise", torch.randn(4, 4))
        self.steps = nn.ParameterList([nn.Parameter(torch.rand(4)) for _ in range(3)])
        self.table = nn.ModuleDict({key: nn.Linear(4, 4) for key in ("a", "b")})
        self.lstm = nn.LSTM(4, 4, batch_first=True)

    def shifted(self, x: Tensor, by: float, times: int) -> Tensor:
        y = x + by
        return y.sin() * times - self.fc(y)

    def forward(self, x: Tensor) -> Output:
        self.count += 1
        h = self.drop(self.shifted(x, 0.5, 2)) + self.shifted(x, 1.5, 3)
        with torch.no_grad():
            h = h + self.noise.sum(0) * self.count
        for step, other in zip(self.steps, reversed(self.steps), strict=True):
            h = h * step + other
        for i in range(3):
            h = h * (i + 1) + i / 2
        z = h.clone()
        z[:, :2] = torch.where(self.mask, h, -h)[:, 2:]
        out, (hidden, cell) = self.lstm(z[:, None])
        long = torch.cat([torch.sigmoid(z + self.ones.sum(0)), torch.tanh(h - z), torch.relu(h * z), h.abs() + z], 1)
        parts = {"a key": self.table["a"](out[:, 0]) + cell[0], "b": self.table["b"](hidden[0])}
        return Output(h + torch.tensor([0.0, 1.0, 2.5, 3.0]) + long.chunk(4, 1)[-1], parts)

    def several(self, x: Tensor, scale: float = 2.0) -> Any:
        found = [Pair(x * scale, (self.fc(x), x.shape[0])), {"codes": self.codes.float().mean() + x.sum()}]
        return found, None, x.shape[0] * 3

    def modes(self, x: Tensor) -> Tensor:
        if self.training:
            return self.fc(x).relu() + torch.randn_like(x)
        return self.fc(x).abs()


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.gain = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor, rate: float = 0.5) -> Tensor:
        h, gate = self.fc(x * rate).chunk(2, -1)
        return x + torch.cat([h, gate.sigmoid()], -1) * self.gain


class Wide(Narrow):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor, rate: float = 0.5) -> Tensor:
        return super().forward(x, rate) + self.shift


def scored(module: Narrow, x: Tensor) -> Tensor:
    return (module.fc(x).tanh() * module.gain).sum(-1, keepdim=True)


def drawn(n: int, scale: float) -> Tensor:
    noise = torch.randn(n, 4)
    return noise * scale + torch.arange(4)


class Loops(nn.Module):
    """Loops over lists in every order, over numbers and values, and what they gather and carry."""

    def __init__(self):
        super().__init__()
        self.blocks, self.wide = nn.ModuleList([Narrow() for _ in range(8)]), Wide()
        self.scales = nn.ParameterList([nn.Parameter(torch.rand(4)) for _ in range(5)])
        self.table = torch.linspace(0.5, 2.5, 12).view(3, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h = x
        for block in self.blocks[1:6]:
            h = block(h)
        for block in reversed(self.blocks):
            h = block(h, 0.25)
        for block in self.blocks[::2]:
            h = block(h).relu()
        for block in self.blocks[6:1:-1]:
            h = block(h).sin()
        for number in (0, 3, 4, 7):
            h = self.blocks[number](h).cos()
        return h, scored(self.blocks[0], h), scored(self.wide, h)

    def gathered(self, x: Tensor) -> Any:
        kept, states = [], []
        for i, block in enumerate(self.blocks):
            x = block(x, 0.1 * i) + i
            kept.append(x.mean(-1))
        for scale in self.scales:
            states.append(x * scale)
        return torch.stack(kept, 1), torch.cat(states, dim=1), [torch.stack(states).sum(0)]

    def carried(self, x: Tensor, y: Tensor) -> Tensor:
        residual = x
        before, now = x, y
        for power in (1, 2, 3, 5, 8):
            before, now = now, (before * power).tanh() + now
        for _ in range(5):
            now = torch.tanh(now @ now.mT) @ now
        for other in (x, y, before, x * y):
            now = now * other.sigmoid()
        x = F.layer_norm(now, now.shape[-1:])
        x = x + drawn(len(y), 2.0) - drawn(len(y), 3.0)
        return residual * self.scales[0] + x * self.table.sum(0) + self.table[1]


class Fork(nn.Module):
    """A block with a layer beside its own and further ones behind them, or without."""

    def __init__(self, has_short: bool, depth: int):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.short = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) if has_short else None
        self.extras = nn.ModuleList([nn.Linear(4, 4) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        h = self.down(F.relu(self.up(x)))
        for extra in self.extras:
            h = extra(h).tanh()
        return h + (x if self.short is None else self.short(x))


class Forks(nn.Module):
    """Blocks that lack parts of each other, a loss that takes the batch size, and a sampler that is two programs."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Fork(True, depth) for depth in (0, 0, 2, 2)])
        self.other, self.scale = Fork(False, 2), nn.Parameter(torch.tensor(0.5))
        self.readers = nn.ModuleList([nn.GRU(4, 4, num_layers=2, batch_first=True), nn.GRU(4, 4, batch_first=True)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        out, _ = self.readers[0](self.other(x)[:, None])
        return out[:, 0] + self.readers[1](x[:, None])[0][:, 0]

    def loss(self, x: Tensor, n: int, weight: float = 0.5) -> Tensor:
        return (self(x) * self.scale - x).square().sum() / n * weight

    def sample(self, n: int) -> Tensor:
        if self.training:
            return torch.randn(n, 4)
        return self.other(torch.rand(n, 4) * 2)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(x)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)


def vectors(n: int) -> tuple[Tensor, ...]:
    return (torch.randn(n, 4),)


def drawn_items(n: int) -> tuple[Any, ...]:
    return torch.randn(n, 1, 4, 4).double(), torch.arange(n) % 5, torch.arange(n) % 3, torch.randint(3, (n, 7)), n


def inputs(n: int) -> tuple[Any, ...]:
    """A tensor of every kind, and a number."""
    x = torch.randn(n, 4)
    return x, torch.arange(n) % 3, x > 0, torch.rand(n, 3, 5).double(), torch.complex(x, x + 1), 0.25


@dataclass(frozen=True)
class Case:
    """A model and what to compile it with."""

    make: Callable[[], nn.Module]
    example: Callable[..., tuple[Any, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    single_file: bool = False


CASES = {
    "vectors": Case(Vectors, vectors),
    "pictures": Case(Pictures, lambda n: (torch.rand(n, 3, 36, 36),), {"head": "gains", "entries": ("encode",)}),
    "sentences": Case(
        Sentences,
        lambda n, length=6: (torch.randint(11, (n, length)), torch.arange(n) % 4, 0.5),
        {"sample": None, "head": "low-rank", "entries": ("forward",)},
    ),
    "gaussian": Case(Gaussian, lambda n: (torch.randn(n, 2),), {"penalty": "lagrangian"}),
    "everything": Case(Everything, vectors, {"loss": None, "sample": None, "entries": ("forward", "several", "modes")}),
    "loops": Case(Loops, vectors, {"loss": None, "sample": None, "entries": ("forward", "gathered")}),
    "carried": Case(
        Loops, lambda n: (torch.randn(n, 4), torch.randn(n, 4)), {"loss": None, "sample": None, "entries": ("carried",)}
    ),
    "forks": Case(Forks, lambda n: (torch.randn(n, 4), n, 0.5), {"head": "gains"}),
    "numbers": Case(Numbers, vectors, {"loss": None, "sample": None, "entries": ("forward", "formulas", "calls")}),
    "named": Case(
        Named,
        lambda n: (torch.randn(n, 4), torch.randn(n, 4)),
        {"loss": None, "sample": None, "entries": ("forward", "several")},
    ),
    "shaped": Case(Named, inputs, {"loss": None, "sample": None, "entries": ("shaped",)}),
    "recorded": Case(Recorded, vectors, {"loss": None, "sample": None, "entries": ("forward",)}),
    "drawn": Case(
        Drawn,
        drawn_items,
        {"penalty": "chains"},
    ),
    "drawn in one file": Case(Drawn, drawn_items, single_file=True),
    "regression": Case(Regression, lambda n: (torch.randn(n, 2), torch.randn(n, 2)), {"sample": None}),
    "sized": Case(
        Sized,
        lambda n, side=8: (torch.rand(n, 2, side, side),),
        {"loss": None, "sample": None, "entries": ("forward",)},
    ),
    "critic": Case(Generator, vectors, {"recipe": Gan(critic=Critic(), latent=3, shape=(4,))}),
    "dense": Case(Vectors, vectors, {"head": "dense", "penalty": "mean", "space": "weights"}),
    "factors": Case(
        lambda: Vectors().double(), lambda n: (torch.randn(n, 4).double(),), {"head": "factors", "sample": None}
    ),
    "chunked": Case(Vectors, vectors, {"head": "chunked", "keep": ("down.*",), "penalty": "literal"}),
    "alone": Case(Vectors, vectors, {"head": "chunked-alone", "penalty": "none"}),
    "base": Case(Vectors, vectors, {"head": "base", "sample": None}),
    "one file": Case(Gaussian, lambda n: (torch.randn(n, 2),), {"head": "biases"}, single_file=True),
}
