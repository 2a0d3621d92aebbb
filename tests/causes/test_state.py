"""Buffers: rebound, written through views, counted, tied, without a place in the state_dict."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Rebound(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("ema", torch.zeros(4))

    def forward(self, x):
        x = self.l(x)
        self.ema = 0.9 * self.ema + 0.1 * x.detach().mean(0)
        return x - self.ema


class ReboundTwice(Rebound):
    def forward(self, x):
        old = self.ema
        self.ema = self.ema + x.mean(0)
        y = self.l(x) * self.ema
        self.ema = self.ema * 0.5
        return y + self.ema + old


class Swapped(nn.Module):
    """Each buffer becomes what the other was."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("a", torch.zeros(4))
        self.register_buffer("b", torch.ones(4))

    def forward(self, x):
        self.a, self.b = self.b, self.a
        return self.l(x) * self.b + self.a


class ReboundAfterUse(Rebound):
    """The old buffer is kept for the backward pass when the new one takes its place."""

    def forward(self, x):
        y = self.l(x) * (self.ema + 1) * self.ema
        self.ema = self.ema * 0.9 + 0.1
        return y


class ReboundToInput(Rebound):
    """A buffer that keeps a slice of what came in, and is read on the next call."""

    def forward(self, x):
        y = self.l(x) + self.ema
        self.ema = x[0].detach()
        return y


class OnlyInTraining(Rebound):
    def forward(self, x):
        x = self.l(x)
        if self.training:
            self.ema.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return x - self.ema


class OnlyInTrainingRebound(Rebound):
    def forward(self, x):
        x = self.l(x)
        if self.training:
            with torch.no_grad():
                self.ema = torch.lerp(self.ema, x.mean(0), 0.1)
        return x - self.ema


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, x):
        self.step += 1
        self.scale *= 0.99
        return self.l(x) * self.scale / self.step


class Queue(nn.Module):
    """Written at a position that is a buffer too, by index."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("queue", torch.zeros(8, 4))
        self.register_buffer("at", torch.zeros(1, dtype=torch.long))

    def forward(self, x):
        key = self.l(x)
        with torch.no_grad():
            self.queue[self.at] = key.detach().mean(0)
            self.at[0] = (self.at[0] + 1) % 8
        return key @ self.queue.clone().t()


class Rolled(nn.Module):
    """A window that moves on: views of a buffer are read and written."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("window", torch.arange(12.0).view(3, 4))

    def forward(self, x):
        newest = self.window[-1]
        out = self.l(x) + newest * self.window[0]
        self.window[:-1] = self.window[1:].clone()
        newest.copy_(x.detach().mean(0))
        return out


class Transient(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("mask", torch.tensor([1.0, 0, 1, 1]), persistent=False)
        self.register_buffer("nothing", None)
        self.register_buffer("big", torch.randn(5, 4), persistent=False)

    def forward(self, x):
        return self.l(x) * self.mask + self.big.sum(0)


class TiedBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
        self.b.running_mean = self.a.running_mean

    def forward(self, x):
        return self.b(self.a(x) * 2 + 1)


class SameNormTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.l = nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x):
        return self.norm(self.l(self.norm(x)))


class MomentumTeacher(nn.Module):
    """A frozen copy of the network whose parameters follow it, as in EMA models and BYOL."""

    def __init__(self):
        super().__init__()
        self.student, self.teacher = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            target = self.teacher(x)
        return F.mse_loss(self.student(x), target)


class NestedState(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), Rebound()) for _ in range(3)])
        self.norms = nn.ModuleDict({"first": nn.BatchNorm1d(4), "second": nn.BatchNorm1d(4)})

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.norms["second"](self.norms["first"](x))


@pytest.mark.parametrize(
    "model",
    [
        Rebound,
        ReboundTwice,
        ReboundAfterUse,
        Swapped,
        ReboundToInput,
        OnlyInTraining,
        OnlyInTrainingRebound,
        Counter,
        Queue,
        Rolled,
        Transient,
        TiedBuffers,
        SameNormTwice,
        MomentumTeacher,
        NestedState,
    ],
)
def test_state(check, model):
    check(model(), vectors)


class Quantizer(nn.Module):
    """Nearest codes, straight-through, with the codebook moved by its own averages."""

    def __init__(self, codes=6, dim=4, decay=0.9, eps=1e-5):
        super().__init__()
        embed = torch.randn(dim, codes)
        self.n_embed, self.dim, self.decay, self.eps = codes, dim, decay, eps
        self.register_buffer("embed", embed)
        self.register_buffer("cluster_size", torch.zeros(codes))
        self.register_buffer("embed_avg", embed.clone())

    def forward(self, input):
        flatten = input.reshape(-1, self.dim)
        dist = flatten.pow(2).sum(1, keepdim=True) - 2 * flatten @ self.embed + self.embed.pow(2).sum(0, keepdim=True)
        _, embed_ind = (-dist).max(1)
        embed_onehot = F.one_hot(embed_ind, self.n_embed).type(flatten.dtype)
        embed_ind = embed_ind.view(*input.shape[:-1])
        quantize = self.embed_code(embed_ind)
        if self.training:
            embed_onehot_sum = embed_onehot.sum(0)
            embed_sum = flatten.transpose(0, 1) @ embed_onehot
            self.cluster_size.data.mul_(self.decay).add_(embed_onehot_sum, alpha=1 - self.decay)
            self.embed_avg.data.mul_(self.decay).add_(embed_sum, alpha=1 - self.decay)
            n = self.cluster_size.sum()
            cluster_size = (self.cluster_size + self.eps) / (n + self.n_embed * self.eps) * n
            embed_normalized = self.embed_avg / cluster_size.unsqueeze(0)
            self.embed.data.copy_(embed_normalized)
        diff = (quantize.detach() - input).pow(2).mean()
        quantize = input + (quantize - input).detach()
        return quantize, diff, embed_ind

    def embed_code(self, embed_id):
        return F.embedding(embed_id, self.embed.transpose(0, 1))


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.quantize, self.dec = nn.Conv2d(3, 4, 4, 2, 1), Quantizer(), nn.ConvTranspose2d(4, 3, 4, 2, 1)

    def forward(self, x):
        quant, diff, codes = self.quantize(self.enc(x).permute(0, 2, 3, 1))
        return self.dec(quant.permute(0, 3, 1, 2)), diff, codes


def test_vector_quantization_with_moving_codebook(check):
    check(VQVAE(), lambda n: torch.randn(n, 3, 4, 4), exact=False)


class ReboundCodebook(nn.Module):
    """As in the PyTorch VQ-VAE tutorial: a Parameter replaced by a new Parameter is refused, a buffer is not."""

    def __init__(self):
        super().__init__()
        self.l, self.codebook = nn.Linear(4, 4), nn.Embedding(5, 4)
        self.register_buffer("usage", torch.zeros(5))

    def forward(self, x):
        z = self.l(x)
        indices = torch.cdist(z, self.codebook.weight).argmin(1)
        encodings = torch.zeros(indices.shape[0], 5, device=x.device)
        encodings.scatter_(1, indices.unsqueeze(1), 1)
        if self.training:
            self.usage = self.usage * 0.99 + 0.01 * encodings.sum(0)
        q = encodings @ self.codebook.weight
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        avg = encodings.mean(0)
        perplexity = torch.exp(-torch.sum(avg * torch.log(avg + 1e-10)))
        return z + (q - z).detach(), loss, perplexity


def test_vector_quantization_with_a_trained_codebook(check):
    check(ReboundCodebook(), vectors, exact=False)
