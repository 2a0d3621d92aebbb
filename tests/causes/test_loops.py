"""Repetition in the user's model, and the loops that it is folded into."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture.steps import steps


def vectors(n):
    return torch.randn(n, 4)


def signals(n):
    return torch.randn(n, 3, 16)


class Block(nn.Module):
    def __init__(self, size=4, out=None):
        super().__init__()
        self.norm, self.a, self.b = nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.Linear(2 * size, out or size)
        self.short = nn.Linear(size, out) if out else nn.Identity()

    def forward(self, x):
        return self.short(x) + self.b(F.gelu(self.a(self.norm(x))))


class Stack(nn.Module):
    def __init__(self, count=20):
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(count)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_twenty_equal_blocks_are_one_loop(check):
    emitted = check(Stack(), vectors)
    assert emitted.text.count("for ") == 1 and emitted.text.count("F.gelu") == 1


class InSequential(Stack):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*self.blocks)

    def forward(self, x):
        return self.blocks(x)


class FirstDiffers(Stack):
    def forward(self, x):
        for number, block in enumerate(self.blocks):
            x = block(x if number else x * 2)
        return x


class LastDiffers(Stack):
    def forward(self, x):
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number < len(self.blocks) - 1:
                x = F.relu(x)
        return x


class Reversed(Stack):
    def forward(self, x):
        for block in reversed(self.blocks):
            x = torch.tanh(x + block(x))
        for block in self.blocks[::-1][:5]:
            x = torch.tanh(x * block(x))
        return x


class EverySecond(Stack):
    def forward(self, x):
        for block in self.blocks[::2]:
            x = block(x)
        for number, block in enumerate(self.blocks):
            if number % 2:
                x = x - block(x) / (number + 1)
        return x


class Middle(Stack):
    def forward(self, x):
        for block in self.blocks[3:9]:
            x = block(x)
        for block in self.blocks[9:17:3]:
            x = block(x)
        for k in (4, 1, 7, 2, 19):
            x = self.blocks[k](x)
        return x + sum(block.a.bias.sum() for block in self.blocks)


class TwoCarried(Stack):
    def forward(self, x):
        skip = total = x
        for block in self.blocks:
            skip, x = x, block(x) + skip
            total = total + x
        return x, skip, total


class Fibonacci(Stack):
    """What is carried over stands in another's place each time."""

    def forward(self, x):
        a, b = x, self.blocks[0](x)
        for block in self.blocks[1:]:
            a, b = b, a + block(b)
        return a * b


class Collected(Stack):
    def forward(self, x):
        states, sums = [], []
        for block in self.blocks:
            x = block(x)
            states.append(x)
            sums.append(x.sum(1))
        return torch.stack(states, 1), torch.cat(sums), states[-1]


class CollectedAndRead(Stack):
    """A list whose elements are read one by one afterwards."""

    def forward(self, x):
        states = [x]
        for block in self.blocks[:8]:
            states.append(block(states[-1]))
        for block in self.blocks[8:16]:
            x = block(x + states.pop())
        return x + states[0]


class Dense(nn.Module):
    """Each block reads all results before it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4 * (k + 1), 4) for k in range(6)])

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(F.relu(layer(torch.cat(features, 1))))
        return torch.cat(features, 1)


class Twice(Stack):
    def forward(self, x):
        for _ in range(3):
            for block in self.blocks[:4]:
                x = block(x)
            x = torch.tanh(x)
        return x


class Grid(nn.Module):
    """Loops of loops of equal size, and of different ones."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.ModuleList([Block() for _ in range(3)]) for _ in range(4)])
        self.uneven = nn.ModuleList([nn.ModuleList([Block() for _ in range(k)]) for k in (1, 2, 3)])

    def forward(self, x):
        for stage in self.stages:
            for block in stage:
                x = block(x)
            x = x * 0.5
        for stage in self.uneven:
            for block in stage:
                x = block(x)
        return x


class Nested(nn.Module):
    """Two lists side by side, and a list in every element."""

    def __init__(self):
        super().__init__()
        self.first = nn.ModuleList([nn.Linear(4, 4) for _ in range(8)])
        self.second = nn.ModuleList([nn.LayerNorm(4) for _ in range(8)])
        self.scales = nn.Parameter(torch.randn(8))
        self.table = nn.Parameter(torch.randn(8, 4))

    def forward(self, x):
        for k, (one, two) in enumerate(zip(self.first, self.second, strict=True)):
            x = torch.tanh(two(one(x)) * self.scales[k] + self.table[k])
        return x


class Shapes(nn.Module):
    """Equal code on other sizes: no loop."""

    def __init__(self):
        super().__init__()
        sizes = [4, 6, 8, 8, 8, 8, 6, 4]
        self.blocks = nn.ModuleList([Block(a, b) for a, b in pairwise(sizes)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Alternating(nn.Module):
    def __init__(self):
        super().__init__()
        self.flows = nn.ModuleList([Block() for _ in range(8)])

    def forward(self, x):
        total = x.new_zeros(x.shape[0])
        for number, flow in enumerate(self.flows):
            x = flow(x)
            x = x.flip(1) if number % 2 == 0 else x * 1.5
            total += x.sum(1)
        return x, total


class Untracked(Stack):
    """Values that nobody reads, and one that only the last iteration gives."""

    def forward(self, x):
        for block in self.blocks[:6]:
            x, _, last = block(x), x.sum(), x.mean()
        return x * last


class SharedBlock(nn.Module):
    """One block applied many times, with numbers that change."""

    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        for step in range(12):
            x = x + self.block(x) * (step + 1) - 0.1**step
        return x


class Halves(SharedBlock):
    """Numbers that follow the index linearly, downwards, quadratically."""

    def forward(self, x):
        for i in range(10):
            x = self.block(x).roll(i, 1) + x.roll(-2 * i + 9, 1) * i * i
        return x


class Euler(SharedBlock):
    def forward(self, x):
        dt = 1.0 / 10
        for t in torch.linspace(0, 0.9, 10):
            k1 = self.block(x * t)
            k2 = self.block(x + dt * k1)
            x = x + dt * (k1 + k2) / 2
        return x


class WritesInLoop(SharedBlock):
    def forward(self, x):
        out = torch.zeros(x.shape[0], 4, 8)
        for i in range(8):
            x = self.block(x)
            out[:, :, i] = x
        return out


class StateInLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for _ in range(6):
            self.layers.append(Block())
            self.norms.append(nn.BatchNorm1d(4))

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.dropout(norm(layer(x)), 0.2, self.training)
        return x


@pytest.mark.parametrize(
    "model",
    [
        InSequential,
        FirstDiffers,
        LastDiffers,
        Reversed,
        EverySecond,
        Middle,
        TwoCarried,
        Fibonacci,
        Collected,
        CollectedAndRead,
        Dense,
        Twice,
        Grid,
        Nested,
        Shapes,
        Alternating,
        Untracked,
        SharedBlock,
        Halves,
        Euler,
        WritesInLoop,
        StateInLoop,
    ],
)
@pytest.mark.filterwarnings("ignore:no entry point reads")
def test_loops(check, model):
    check(model(), vectors, sizes=(3,), exact=False)


class WaveNet(nn.Module):
    """Dilation 2**i, gates, skip sums."""

    def __init__(self, layers=5, width=4):
        super().__init__()
        self.start = nn.Conv1d(3, width, 1)
        self.filters = nn.ModuleList([nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(layers)])
        self.residuals = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(layers)])
        self.skips = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(layers)])
        self.out = nn.Conv1d(width, 3, 1)

    def forward(self, x):
        x = self.start(x)
        total = 0
        for filters, residual, skip in zip(self.filters, self.residuals, self.skips, strict=True):
            padded = F.pad(x, (filters.dilation[0], 0))
            a, b = filters(padded).chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(h)
            x = x + residual(h)
        return self.out(F.relu(total))


class UNet(nn.Module):
    def __init__(self, width=4, depth=3):
        super().__init__()
        self.start = nn.Conv1d(3, width, 3, padding=1)
        self.down = nn.ModuleList([nn.Conv1d(width, width, 4, 2, 1) for _ in range(depth)])
        self.middle = nn.Conv1d(width, width, 1)
        self.up = nn.ModuleList([nn.ConvTranspose1d(2 * width, width, 4, 2, 1) for _ in range(depth)])
        self.out = nn.Conv1d(2 * width, 3, 1)

    def forward(self, x):
        x = self.start(x)
        skips = [x]
        for down in self.down:
            x = F.silu(down(x))
            skips.append(x)
        x = self.middle(x)
        for up in self.up:
            x = F.silu(up(torch.cat([x, skips.pop()], 1)))
        return self.out(torch.cat([x, skips.pop()], 1))


@pytest.mark.filterwarnings("ignore:no entry point reads residuals.4")
@pytest.mark.parametrize("model", [WaveNet, UNet])
def test_loops_over_signals(check, model):
    check(model(), signals, exact=False)


class DDPM(nn.Module):
    """Ancestral and deterministic sampling with all steps, as a sampler."""

    def __init__(self, count=30):
        super().__init__()
        self.a, self.b, self.count = nn.Linear(5, 8), nn.Linear(8, 4), count
        self.register_buffer("betas", torch.linspace(1e-4, 0.02, count))
        self.register_buffer("bars", (1 - self.betas).cumprod(0))

    def net(self, x, t):
        return self.b(F.silu(self.a(torch.cat([x, t[:, None] / self.count], 1))))

    def loss(self, x):
        t = torch.randint(0, self.count, (x.shape[0],))
        noise = torch.randn_like(x)
        bar = self.bars[t][:, None]
        return F.mse_loss(self.net(bar.sqrt() * x + (1 - bar).sqrt() * noise, t), noise)

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, 4)
        for i in steps(self.count):
            k = self.count - 1 - i
            eps = self.net(x, torch.full((n,), k))
            x = (x - self.betas[k] / (1 - self.bars[k]).sqrt() * eps) / (1 - self.betas[k]).sqrt()
            x = x + self.betas[k].sqrt() * torch.randn_like(x)
        return x

    def plain(self, n):
        x = torch.randn(n, 4)
        for k in reversed(range(self.count)):
            eps = self.net(x, torch.full((n,), k, dtype=torch.long))
            last = self.bars[k - 1] if k > 0 else torch.tensor(1.0)
            x0 = (x - (1 - self.bars[k]).sqrt() * eps) / self.bars[k].sqrt()
            x = last.sqrt() * x0.clamp(-3, 3) + (1 - last).sqrt() * eps
        return x


@pytest.mark.parametrize("sample", ["sample", "plain"])
def test_samplers(check, sample):
    emitted = check(DDPM(), vectors, loss="loss", sample=lambda m, n: getattr(m, sample)(n), entries=(), exact=False)
    assert len(emitted.text.splitlines()) < 120


class Langevin(SharedBlock):
    """Several steps, each with a gradient."""

    def energy(self, x):
        return self.block(x).pow(2).sum(1)

    def sample(self, n):
        x = torch.randn(n, 4)
        for _ in steps(20):
            x = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.energy(x).sum(), x)
            x = x - 0.1 * gradient + 0.01 * torch.randn_like(x)
        return x.detach()


def test_langevin(check):
    check(Langevin(), vectors, sample="sample", entries=("energy",), exact=False)


class Guided(SharedBlock):
    """steps() around a loop, inside a function, twice, and short ones."""

    def relax(self, x, rate):
        for i in steps(7):
            for _ in range(2):
                x = x - rate * self.block(x)
            x = x + 0.01 * i
        return x

    def forward(self, x):
        x = self.relax(x, 0.1)
        for _ in steps(2):
            x = torch.tanh(x)
        x = self.relax(x, 0.2)
        kept = x
        for i in steps(5):
            kept = kept * 0.5 + x.roll(3 * i, 1)
        return x + kept


@pytest.mark.parametrize("model", [Guided])
def test_steps(check, model):
    emitted = check(model(), vectors, exact=False)
    assert "range(7)" in emitted.text and "range(5)" in emitted.text


class Rates(SharedBlock):
    """Numbers that are fractions of the index."""

    def forward(self, x):
        for i in steps(9):
            x = x + self.block(x) * (1 - i / 9) + 0.1 * i - x.roll(9 - i, 1) * (-0.5 + i * 0.25)
        return x


def test_steps_with_rates(check):
    check(Rates(), vectors, exact=False)


class UnlikeSteps(SharedBlock):
    def forward(self, x):
        for i in steps(6):
            x = self.block(x) * 0.5**i
        return x


class CollectingSteps(SharedBlock):
    def forward(self, x):
        states = []
        for _ in steps(6):
            x = self.block(x)
            states.append(x)
        return torch.stack(states)


@pytest.mark.parametrize("model", [UnlikeSteps, CollectingSteps])
def test_steps_that_are_not_alike(refused, model):
    refused("HG204", model(), vectors, where="test_loops.py")
