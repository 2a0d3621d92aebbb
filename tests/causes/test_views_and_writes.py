"""Writes in place, through views, by index, into inputs and into weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hypergen_compiler as hypergen


def vectors(n):
    return torch.randn(n, 4)


class Linear(nn.Module):
    """A layer and what the subclass makes of its result."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        return self.use(self.l(x), x)


class SliceTimes(Linear):
    def use(self, h, x):
        v = h[:, :2]
        before = h.sum(1)
        v.mul_(3)
        h[:, 3] = 0.5
        return h * before[:, None]


class AugmentedView(Linear):
    def use(self, h, x):
        h = h.clone()
        h[:, 1:] += x[:, :3]
        h[..., 0] *= 2
        h[:, ::2] -= 1
        return h


class TwoViews(Linear):
    def use(self, h, x):
        h = h.clone()
        a, b = h[:, :2], h[:, 2:]
        a += b
        b -= 1
        return torch.cat([b, a], 1)


class UnbindWrites(Linear):
    def use(self, h, x):
        out = torch.empty_like(h)
        for i in range(4):
            out[:, i] = h[:, i] * (i + 1)
        return out


class SequentialWrites(Linear):
    """Each step reads what the one before wrote."""

    def use(self, h, x):
        out = torch.zeros_like(x)
        with torch.no_grad():
            for i in range(4):
                out[:, i] = torch.tanh(self.l(out)[:, i] + h[:, i])
        return out * h


class Scatter(Linear):
    def use(self, h, x):
        index = x.argsort(1)
        out = torch.zeros_like(h).scatter_(1, index, h)
        out.scatter_add_(1, index[:, :2], h[:, :2])
        return out


class IndexPut(Linear):
    def use(self, h, x):
        h = h.clone()
        h[torch.arange(len(x)), x.argmax(1)] = -1.0
        h.index_put_((torch.arange(x.shape[0]), x.argmin(1)), torch.zeros(x.shape[0]), accumulate=False)
        return h


class IndexAddCopyFill(Linear):
    def use(self, h, x):
        rows = torch.tensor([0, 2])
        h = h.clone()
        h.index_add_(1, rows, x[:, :2])
        h.index_copy_(1, torch.tensor([1]), x[:, 3:])
        h.index_fill_(1, torch.tensor([3]), 0.25)
        return h


class MaskedFill(Linear):
    def use(self, h, x):
        h = h.clone()
        h.masked_fill_(x > 0, float("-inf"))
        return h.softmax(1).nan_to_num(0.25)


class BooleanAssignment(Linear):
    def use(self, h, x):
        h = h.clone()
        h[x < 0] = 0.0
        h[h > 1] *= 1.0 if False else 1
        return h


class Where(Linear):
    def use(self, h, x):
        return torch.where(h > 0, h, torch.zeros_like(h)) + torch.where(x > 0, 1.0, -1.0) * h


class InPlaceActivations(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4, 4),
            nn.ReLU(inplace=True),
            nn.Linear(4, 4),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Linear(4, 4),
            nn.ELU(inplace=True),
        )

    def forward(self, x):
        h = self.net(x) * 1
        h += x
        return F.hardtanh(h, -2, 2, inplace=True).clamp_(-1, 1)


class InPlaceOnSkip(nn.Module):
    """The in-place activation changes the skip as well, as in pre-activation ResNets."""

    def __init__(self):
        super().__init__()
        self.act, self.a, self.b = nn.ReLU(inplace=True), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = self.a(x)
        skip = h
        out = self.b(self.act(h))
        return out + skip


class WritesInput(Linear):
    def forward(self, x):
        x += 1
        x[:, 0] = 0
        return self.l(x)


class WritesInputAfterUse(Linear):
    def forward(self, x):
        y = self.l(x).detach() * x.mean()
        x.mul_(0.5)
        return y + self.l(x)


class WritesWeightData(nn.Module):
    """PixelCNN's masked convolution."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("mask", torch.tril(torch.ones(4, 4)))

    def forward(self, x):
        self.l.weight.data *= self.mask
        return self.l(x)


class ReluOfView(Linear):
    def use(self, h, x):
        h = h.clone()
        F.relu_(h[:, :2])
        return h * 2


class OutArgument(Linear):
    def use(self, h, x):
        out = torch.empty(x.shape[0], 4)
        torch.mul(h.detach(), 2, out=out)
        return out + h


class SwapColumns(Linear):
    def use(self, h, x):
        h = h.clone()
        h[:, 0], h[:, 1] = h[:, 1].clone(), h[:, 0].clone()
        a = h[:, 2]
        h[:, 2] = h[:, 3]
        return h + a[:, None]


class Transposed(Linear):
    def use(self, h, x):
        t = h.clone().t()
        t[0] += 1
        t.transpose_(0, 1)
        t.unsqueeze_(1).squeeze_(1)
        return t * 2


class ExpandAndCopy(Linear):
    def use(self, h, x):
        base = torch.zeros(x.shape[0], 2, 4)
        base[:, 0].copy_(h)
        base.select(1, 1).add_(x)
        base.narrow(2, 1, 2).neg_()
        return base.flatten(1)


class SetItemOfList(Linear):
    def use(self, h, x):
        out = x.new_zeros(x.shape[0], 4)
        out[:, [0, 2]] = h[:, [1, 3]]
        out[:, torch.tensor([1])] = 1.5
        out[0] = h[0] * 2
        out[-1, -1] = 7
        out[:, None, 3:] = 2
        return out


class InPlaceDtype(Linear):
    def use(self, h, x):
        count = torch.zeros(x.shape[0], dtype=torch.long)
        count += (x > 0).sum(1)
        count *= 2
        h = h.clone()
        h += x > 0
        h *= torch.tensor(2.0, dtype=torch.float64)
        return h * count[:, None]


class Unsafe(Linear):
    """A value is read after its view was changed, in the order that the user wrote."""

    def use(self, h, x):
        flat = h.clone().view(-1)
        first = flat[0] * 2
        flat[0] = 5
        second = flat[0] * 2
        return h * first + second


class FillDiagonal(Linear):
    def use(self, h, x):
        gram = h.t() @ h
        gram.fill_diagonal_(0)
        gram.diagonal().add_(1)
        return x @ gram


@pytest.mark.parametrize(
    "model",
    [
        SliceTimes,
        AugmentedView,
        TwoViews,
        UnbindWrites,
        SequentialWrites,
        Scatter,
        IndexPut,
        IndexAddCopyFill,
        MaskedFill,
        BooleanAssignment,
        Where,
        InPlaceActivations,
        InPlaceOnSkip,
        WritesInput,
        WritesInputAfterUse,
        WritesWeightData,
        ReluOfView,
        OutArgument,
        SwapColumns,
        Transposed,
        ExpandAndCopy,
        SetItemOfList,
        InPlaceDtype,
        Unsafe,
        FillDiagonal,
    ],
)
def test_writes(check, model):
    check(model(), vectors)


class Inverse(nn.Module):
    """An autoregressive flow's sampler, one column after another: its writes spoil its own gradient."""

    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList(nn.Linear(i + 1, 1) for i in range(3))

    def loss(self, x):
        return sum((x[:, i + 1] - self.scales[i](x[:, : i + 1]).squeeze(1)).square() for i in range(3))

    def sample(self, n):
        x = torch.randn(n, 4)
        for i, scale in enumerate(self.scales):
            x[:, i + 1] = x[:, i + 1] + scale(x[:, : i + 1]).squeeze(1)
        return x


def test_a_sampler_whose_writes_spoil_its_gradient_is_compared_by_its_values(tmp_path):
    package = hypergen.compile(Inverse(), torch.randn(16, 4), out=tmp_path / "inverse", head="base")
    assert "detach" in package.files["objective.py"].decode() or "no_grad" in package.files["objective.py"].decode()
