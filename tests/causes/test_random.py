"""Random numbers: every way to draw them, in the user's order."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import distributions as D
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Linear(nn.Module):
    """A layer, and what the subclass draws from its result."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        return self.draw(self.l(x), x)


class Reparameterized(Linear):
    def draw(self, h, x):
        mean, log_std = h.chunk(2, 1)
        return D.Normal(mean, log_std.exp()).rsample() * 2 + mean


class Sampled(Linear):
    def draw(self, h, x):
        z = D.Normal(h, 1.0).sample()
        return D.Normal(h, 0.5).log_prob(z).sum(-1)


class Independent(Linear):
    def draw(self, h, x):
        p = D.Independent(D.Normal(h, F.softplus(h) + 0.1), 1)
        q = D.Independent(D.Normal(torch.zeros_like(h), torch.ones_like(h)), 1)
        return p.log_prob(p.rsample()), D.kl_divergence(p, q), p.entropy()


class Mixture(Linear):
    def draw(self, h, x):
        mixing = D.Categorical(logits=h[:, :2])
        parts = D.Independent(D.Normal(h.view(-1, 2, 2), torch.ones(2)), 1)
        mixture = D.MixtureSameFamily(mixing, parts)
        return mixture.log_prob(x[:, :2]), mixture.sample((3,))


class Discrete(Linear):
    def draw(self, h, x):
        c = D.Categorical(logits=h)
        b = D.Bernoulli(logits=h)
        k = c.sample()
        return c.log_prob(k), b.log_prob(b.sample()), D.OneHotCategorical(logits=h).sample(), k


class StraightThrough(Linear):
    def draw(self, h, x):
        return D.OneHotCategoricalStraightThrough(logits=h).rsample() * h


class Families(Linear):
    def draw(self, h, x):
        rate = F.softplus(h) + 0.2
        parts = [D.Gamma(rate, rate), D.Beta(rate, rate), D.Exponential(rate), D.Laplace(h, rate), D.Gumbel(h, rate)]
        parts += [D.StudentT(rate + 2), D.LogNormal(h, rate), D.Uniform(h, h + rate), D.Dirichlet(rate)]
        return [part.rsample() for part in parts], D.Poisson(rate.detach()).sample()


class Transformed(Linear):
    def draw(self, h, x):
        transforms = [D.transforms.TanhTransform(cache_size=1), D.transforms.AffineTransform(1.0, h.exp())]
        p = D.TransformedDistribution(D.Normal(h, 1.0), transforms)
        z = p.rsample()
        return z, p.log_prob(z)


class Relaxed(Linear):
    def draw(self, h, x):
        soft = F.gumbel_softmax(h, tau=0.5)
        hard = F.gumbel_softmax(h, tau=1.0, hard=True)
        return soft, hard, D.RelaxedBernoulli(torch.tensor(0.3), logits=h).rsample()


class Functions(Linear):
    def draw(self, h, x):
        n, k = x.shape
        a = torch.randn(n, k) + torch.rand(n, 1) + torch.randn_like(x) + torch.rand_like(h)
        b = torch.randint(0, 5, (n, k)) + torch.randint_like(x, 3) + torch.randperm(k)
        c = torch.normal(0.0, 1.0, (n, k)) + torch.normal(h, 0.1) + torch.normal(torch.zeros(n, k), torch.ones(n, k))
        d = torch.bernoulli(torch.sigmoid(h)) + torch.bernoulli(torch.full((n, k), 0.3)) + torch.poisson(h.abs())
        return (
            h * a + b + c,
            d,
            torch.multinomial(h.softmax(1), 2),
            torch.multinomial(torch.ones(k), n, replacement=True),
        )


class InPlace(Linear):
    def draw(self, h, x):
        a = torch.empty(x.shape[0], 4).normal_() + torch.empty_like(x).uniform_(-1, 1)
        b = x.new_empty(x.size()).exponential_() + torch.zeros(4).bernoulli_(0.5) + torch.empty(4).random_(7)
        c = x.new(4).normal_(1, 2) + torch.zeros(2, 4).geometric_(0.4)[0] + torch.zeros(4).cauchy_().clamp(-1, 1)
        return h * a + b * c + torch.empty(4).log_normal_()


class Noise(nn.Module):
    """The same drawing, used twice: one draw."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.noise = nn.Parameter(torch.ones(1))

    def forward(self, x):
        eps = torch.randn_like(x)
        return self.l(x + self.noise * eps) - eps


class Order(Linear):
    """Draws nested in one expression, with one that is not used, and one on the right that is made first."""

    def draw(self, h, x):
        torch.rand(3)
        second = torch.randn(4)
        first = torch.rand(4)
        total = first + torch.randn(4) * second - torch.rand(4) / (torch.rand(4) + 1)
        _ = torch.randn(x.shape[0])
        if torch.rand(1).numel() > 0:
            total = total + torch.rand(1)
        return h * total


class Seeded(Linear):
    """Its own generator, made anew on every call."""

    def draw(self, h, x):
        generator = torch.Generator().manual_seed(3)
        return h * torch.randn(4, generator=generator) + torch.rand(x.shape[0], 1, generator=generator)


class Dropouts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.drops = nn.ModuleList(
            [nn.Dropout(0.1), nn.Dropout2d(0.3), nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.4)]
        )
        self.inplace, self.none, self.all = nn.Dropout(0.5, inplace=True), nn.Dropout(0.0), nn.Dropout(1.0)

    def forward(self, x):
        x = self.a(x)
        for drop in self.drops:
            x = drop(x) + self.b(x)
        x = F.dropout(self.c(x), 0.2, self.training) + F.dropout(x, 0.3)
        x = self.inplace(self.none(x)) + F.dropout2d(x, training=self.training)
        return x + self.all(x) + F.dropout(x, p=0.25, training=False)


class LeakyRandom(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.act = nn.Linear(4, 4), nn.RReLU(0.1, 0.4)

    def forward(self, x):
        return self.act(self.l(x)) + F.rrelu(self.l(x * 2), training=self.training)


class DropPath(nn.Module):
    """Stochastic depth, as in timm, with rates that grow."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])
        self.rates = [0.0, 0.1, 0.2, 0.3]

    def drop(self, x, rate, scale=True):
        if rate == 0.0 or not self.training:
            return x
        keep = 1 - rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        mask = x.new_empty(shape).bernoulli_(keep)
        if keep > 0.0 and scale:
            mask.div_(keep)
        return x * mask

    def forward(self, x):
        for block, rate in zip(self.blocks, self.rates, strict=True):
            x = x + self.drop(torch.tanh(block(x)), rate)
        return x


class Masked(Linear):
    """Random masking, as in masked autoencoders."""

    def draw(self, h, x):
        n, d = h.shape
        noise = torch.rand(n, d, device=x.device)
        shuffle = torch.argsort(noise, dim=1)
        restore = torch.argsort(shuffle, dim=1)
        kept = torch.gather(h, 1, shuffle[:, : int(d * 0.5)])
        mask = torch.ones([n, d], device=x.device)
        mask[:, : int(d * 0.5)] = 0
        return kept, torch.gather(mask, 1, restore)


class Permuted(Linear):
    """Shuffles the batch: total correlation, FactorVAE."""

    def draw(self, h, x):
        columns = [column[torch.randperm(h.size(0))] for column in h.split(1, 1)]
        return torch.cat(columns, 1), h[torch.randperm(len(h))[: h.shape[0] // 1]]


class Diffusion(Linear):
    def draw(self, h, x):
        t = torch.randint(0, 10, (x.shape[0],), device=x.device).long()
        noise = torch.randn_like(x)
        alpha = torch.linspace(0.9, 0.1, 10).cumprod(0)
        noisy = alpha[t].sqrt()[:, None] * x + (1 - alpha[t]).sqrt()[:, None] * noise
        return F.mse_loss(self.l(noisy), noise, reduction="none").mean(1) * alpha.gather(-1, t)


class Augmented(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x):
        x = x + (torch.rand(x.size(0), 1, 1, 1, dtype=x.dtype, device=x.device) - 0.5)
        shift = torch.randint(-1, 2, size=[x.size(0), 1, 1], device=x.device)
        grid = torch.meshgrid(torch.arange(x.size(0)), torch.arange(x.size(2)), torch.arange(x.size(3)), indexing="ij")
        moved = torch.clamp(grid[1] + shift + 1, 0, x.size(2) + 1)
        padded = F.pad(x, [1, 1, 1, 1, 0, 0, 0, 0])
        return self.c(padded.permute(0, 2, 3, 1).contiguous()[grid[0], moved, grid[2]].permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    "model",
    [
        Reparameterized,
        Sampled,
        Independent,
        Mixture,
        Discrete,
        StraightThrough,
        Families,
        Transformed,
        Relaxed,
        Functions,
        InPlace,
        Noise,
        Order,
        LeakyRandom,
        DropPath,
        Masked,
        Permuted,
        Diffusion,
    ],
)
def test_random_numbers(check, model):
    check(model(), vectors, exact=False)


@pytest.mark.parametrize("model", [Dropouts, Augmented])
def test_random_numbers_on_images(check, model):
    check(model(), lambda n: torch.randn(n, 1, 5, 5))


def test_a_generator_of_its_own_is_refused(refused):
    refused("HG402", Seeded(), vectors, where="test_random.py")


class Reseeded(Linear):
    def draw(self, h, x):
        torch.manual_seed(0)
        return h * torch.randn(4)


def test_reseeding_is_refused(refused):
    refused("HG209", Reseeded(), vectors, where="test_random.py")


class Choice(Linear):
    def draw(self, h, x):
        return h * 2 if torch.rand(()) > 0.5 else h


class StochasticDepth(Linear):
    def draw(self, h, x):
        if self.training and torch.rand(1).item() < 0.5:
            return x
        return h


@pytest.mark.parametrize("model", [Choice, StochasticDepth])
def test_a_decision_by_lot_is_refused(refused, model):
    refused("HG204", model(), vectors, where="test_random.py")


class NumpyNoise(Linear):
    def draw(self, h, x):
        import numpy as np

        return h + torch.from_numpy(np.random.randn(*h.shape)).float()


class PythonNoise(Linear):
    def draw(self, h, x):
        import random

        return h * random.random()


class NumpyGenerator(Linear):
    def draw(self, h, x):
        import numpy as np

        return h * float(np.random.default_rng().normal())


@pytest.mark.parametrize("model, code", [(NumpyNoise, "HG209"), (PythonNoise, "HG209"), (NumpyGenerator, "HG204")])
def test_random_numbers_outside_torch_are_refused(refused, model, code):
    refused(code, model(), vectors, where="test_random.py")


class Dropped(nn.Module):
    """Layers that are dropped at random, with a probability of 0 as in most of transformers' models."""

    def __init__(self, rate):
        super().__init__()
        self.layers, self.rate = nn.ModuleList(nn.Linear(4, 4) for _ in range(2)), rate

    def forward(self, x):
        for layer in self.layers:
            if self.training and torch.rand([]) < self.rate:
                continue
            x = layer(x).relu()
        return x


def test_layers_that_are_never_dropped(check):
    check(Dropped(0.0), lambda n: torch.randn(n, 4))


def test_layers_that_are_dropped_are_refused(refused):
    refused("HG204", Dropped(0.1), lambda n: torch.randn(n, 4), where="test_random.py")
