"""Where new tensors are made: packages run on the device of their weights, checked on torch's meta device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Linear(nn.Module):
    """A layer and what the subclass makes of its result; most models name no device at all."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("scale", torch.arange(4.0))

    def forward(self, x):
        return self.use(self.l(x), x)


class MadeOnTheFly(Linear):
    def use(self, h, x):
        grid = torch.arange(4) + torch.zeros(4, dtype=torch.long) + torch.full((4,), 2)
        noise = torch.randn(x.shape[0], 4) + torch.rand(4) + torch.randint(0, 3, (4,)) + torch.linspace(0, 1, 4)
        return h * grid + noise + torch.eye(4).sum(0) + torch.ones(x.shape[0], 1) + torch.tensor([1.0, 2, 3, 4])


class Constants(Linear):
    """Tensors held outside of parameters and buffers, short and long."""

    def __init__(self):
        super().__init__()
        self.short, self.long = torch.tensor([1.0, 2, 3, 4]), torch.randn(12, 4)
        self.array = np.linspace(0, 1, 4, dtype=np.float32)

    def use(self, h, x):
        h = h * self.short.to(x.device) + self.long.sum(0).to(h)
        return h + torch.from_numpy(self.array).to(device=x.device, dtype=x.dtype) + torch.as_tensor(math.pi)


class Helper(Linear):
    """Made inside of functions that are given no weights."""

    def frequencies(self, t):
        f = torch.exp(-math.log(100) * torch.arange(2, dtype=torch.float32) / 2)
        args = t[:, None] * f[None]
        return torch.cat([args.cos(), args.sin()], 1)

    def use(self, h, x):
        return h + self.frequencies(x[:, 0]) * self.frequencies(h[:, 1]) * self.scale


class Prior(Linear):
    """A sampler has no tensor to take the device from but its weights."""

    def use(self, h, x):
        return h * self.scale

    def sample(self, n):
        z = torch.distributions.Normal(torch.zeros(n, 4), torch.ones(4)).sample()
        steps = torch.full((n,), 3, dtype=torch.long)
        mask = torch.tril(torch.ones(4, 4)).bool()
        return F.linear(z, self.l.weight.masked_fill(~mask, 0.0)) * steps[:, None] + torch.empty(n, 4).normal_()


class Moved(Linear):
    def use(self, h, x):
        index = torch.randperm(x.size(0)).to(h.device)
        return (h[index].cpu() if False else h[index]).to("cpu", torch.float32) * self.scale.to(h.dtype, copy=True)


@pytest.mark.parametrize("model", [MadeOnTheFly, Constants, Helper, Moved])
@pytest.mark.parametrize("training", [False, True])
def test_devices(check, model, training):
    emitted = check(model(), vectors, sizes=(3,))
    weights, state = emitted.weights, emitted.weights.State().to("meta")
    out = emitted.model.forward(
        weights.unpack(weights.initial_weights().to("meta")), state, vectors(3).to("meta"), training=training
    )
    assert out.device.type == "meta" and out.shape == (3, 4)


def test_devices_of_samplers(check):
    emitted = check(Prior(), vectors, sample="sample", sizes=(3,))
    weights, state = emitted.weights, emitted.weights.State().to("meta")
    out = emitted.model.sample(weights.unpack(weights.initial_weights().to("meta")), state, 5)
    assert out.device.type == "meta" and out.shape == (5, 4)
