"""Normalizing flows: couplings, data-dependent initialization, invertible convolutions, splines, masked networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import hypergen_compiler as hypergen
from hypergen_compiler.errors import HyperGenWarning


def vectors(n):
    return torch.randn(n, 4)


class ActNorm(nn.Module):
    """With the flag that decides in Python, as most Glow implementations have it."""

    def __init__(self, channels, return_logdet=True):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("initialized", torch.tensor(0, dtype=torch.uint8))
        self.return_logdet = return_logdet

    @torch.no_grad()
    def initialize(self, x):
        flatten = x.permute(1, 0, 2, 3).contiguous().view(x.shape[1], -1)
        mean = flatten.mean(1).unsqueeze(1).unsqueeze(2).unsqueeze(3).permute(1, 0, 2, 3)
        std = flatten.std(1).unsqueeze(1).unsqueeze(2).unsqueeze(3).permute(1, 0, 2, 3)
        self.loc.data.copy_(-mean)
        self.scale.data.copy_(1 / (std + 1e-6))

    def forward(self, x):
        _, _, height, width = x.shape
        if self.initialized.item() == 0:
            self.initialize(x)
            self.initialized.fill_(1)
        log_abs = torch.log(torch.abs(self.scale))
        logdet = height * width * torch.sum(log_abs)
        return self.scale * (x + self.loc), logdet * torch.ones(x.shape[0]).to(x)

    def reverse(self, y):
        return y / self.scale - self.loc


class InvConv2d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        q, _ = torch.linalg.qr(torch.randn(channels, channels))
        self.weight = nn.Parameter(q.unsqueeze(2).unsqueeze(3))

    def forward(self, x):
        _, _, height, width = x.shape
        out = F.conv2d(x, self.weight)
        logdet = height * width * torch.slogdet(self.weight.squeeze().double())[1].float()
        return out, logdet

    def reverse(self, y):
        return F.conv2d(y, self.weight.squeeze().inverse().unsqueeze(2).unsqueeze(3))


class InvConvLU(nn.Module):
    def __init__(self, channels):
        super().__init__()
        q, _ = torch.linalg.qr(torch.randn(channels, channels))
        p, low, up = torch.linalg.lu(q)
        self.register_buffer("p", p)
        self.register_buffer("u_mask", torch.triu(torch.ones(channels, channels), 1))
        self.register_buffer("l_mask", self.u_mask.T)
        self.register_buffer("s_sign", torch.sign(torch.diag(up)))
        self.register_buffer("l_eye", torch.eye(channels))
        self.w_l = nn.Parameter(low)
        self.w_s = nn.Parameter(torch.log(torch.abs(torch.diag(up))))
        self.w_u = nn.Parameter(torch.triu(up, 1))

    def calc_weight(self):
        weight = (
            self.p
            @ (self.w_l * self.l_mask + self.l_eye)
            @ ((self.w_u * self.u_mask) + torch.diag(self.s_sign * torch.exp(self.w_s)))
        )
        return weight.unsqueeze(2).unsqueeze(3)

    def forward(self, x):
        _, _, height, width = x.shape
        return F.conv2d(x, self.calc_weight()), height * width * torch.sum(self.w_s)


class Coupling(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels // 2, 6, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(6, channels, 3, padding=1)
        )
        self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        in_a, in_b = x.chunk(2, 1)
        log_s, t = (self.net(in_a) * torch.exp(self.scale * 3)).chunk(2, 1)
        s = F.sigmoid(log_s + 2)
        out_b = (in_b + t) * s
        return torch.cat([in_a, out_b], 1), torch.sum(torch.log(s).view(x.shape[0], -1), 1)


class Step(nn.Module):
    def __init__(self, channels, conv):
        super().__init__()
        self.actnorm, self.invconv, self.coupling = ActNorm(channels), conv(channels), Coupling(channels)

    def forward(self, x):
        out, logdet = self.actnorm(x)
        out, det1 = self.invconv(out)
        out, det2 = self.coupling(out)
        logdet = logdet + det1
        if det2 is not None:
            logdet = logdet + det2
        return out, logdet


class Glow(nn.Module):
    """Squeeze, steps, split: after rosinality's."""

    def __init__(self, conv, levels=2, steps=3, initialized=True):
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = 1
        for _ in range(levels):
            self.blocks.append(nn.ModuleList([Step(channels * 4, conv) for _ in range(steps)]))
            channels *= 2
        self.prior = nn.ModuleList([nn.Conv2d(channels * 2 // 2 // 2 * 1, channels * 2 // 2, 1) for _ in range(1)])
        if initialized:
            for module in self.modules():
                if isinstance(module, ActNorm):
                    module.initialized.fill_(1)

    def forward(self, x):
        log_p_sum, logdet = 0, 0
        z_outs = []
        out = x
        for number, steps in enumerate(self.blocks):
            b, c, h, w = out.shape
            squeezed = out.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
            out = squeezed.contiguous().view(b, c * 4, h // 2, w // 2)
            for step in steps:
                out, det = step(out)
                logdet = logdet + det
            if number < len(self.blocks) - 1:
                out, z_new = out.chunk(2, 1)
                mean, log_sd = self.prior[0](out).chunk(2, 1)
            else:
                z_new, mean, log_sd = out, torch.zeros_like(out), torch.zeros_like(out)
            log_p = -0.5 * math.log(2 * math.pi) - log_sd - 0.5 * (z_new - mean) ** 2 / torch.exp(2 * log_sd)
            log_p_sum = log_p_sum + log_p.view(b, -1).sum(1)
            z_outs.append(z_new)
        return log_p_sum, logdet, z_outs


@pytest.mark.parametrize("conv", [InvConv2d, InvConvLU])
@pytest.mark.filterwarnings("ignore::hypergen_compiler.errors.HyperGenWarning")
def test_glow(check, conv):
    check(Glow(conv), lambda n: torch.randn(n, 1, 8, 8), exact=False)


@pytest.mark.filterwarnings("ignore::hypergen_compiler.errors.HyperGenWarning")
def test_reverse_of_an_invertible_convolution(check):
    check(InvConv2d(4), lambda n: torch.randn(n, 4, 3, 3), entries=("reverse",), exact=False)


def test_glow_before_its_first_batch_is_refused_by_capture(refused):
    refused("HG204", Glow(InvConv2d, initialized=False), lambda n: torch.randn(n, 1, 8, 8), where="test_flows.py")


@pytest.mark.filterwarnings("ignore:.*takes a decision from the state")
def test_glow_before_its_first_batch_is_compiled_as_initialised_on_the_example(tmp_path):
    model = Glow(InvConv2d, initialized=False)
    out = tmp_path / "glow"
    with pytest.warns(HyperGenWarning, match="initialises itself in its first call"):
        package = hypergen.compile(
            model, lambda n: torch.randn(n, 1, 8, 8), out=out, loss=None, sample=None, entries=("forward",)
        )
    assert package.verify().ok
    assert all(module.initialized == 0 for module in model.modules() if isinstance(module, ActNorm))


class RealNVP(nn.Module):
    """With its prior as a distribution over buffers, and masks as a frozen parameter."""

    def __init__(self, masks, dim=4):
        super().__init__()
        self.mask = nn.Parameter(masks, requires_grad=False)
        self.t = nn.ModuleList([nn.Sequential(nn.Linear(dim, 6), nn.LeakyReLU(), nn.Linear(6, dim)) for _ in masks])
        self.s = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 6), nn.Tanh(), nn.Linear(6, dim), nn.Tanh()) for _ in masks]
        )
        self.register_buffer("prior_loc", torch.zeros(dim))
        self.register_buffer("prior_scale", torch.ones(dim))

    def g(self, z):
        x = z
        for i in range(len(self.t)):
            x_ = x * self.mask[i]
            s = self.s[i](x_) * (1 - self.mask[i])
            t = self.t[i](x_) * (1 - self.mask[i])
            x = x_ + (1 - self.mask[i]) * (x * torch.exp(s) + t)
        return x

    def f(self, x):
        log_det_J, z = x.new_zeros(x.shape[0]), x
        for i in reversed(range(len(self.t))):
            z_ = self.mask[i] * z
            s = self.s[i](z_) * (1 - self.mask[i])
            t = self.t[i](z_) * (1 - self.mask[i])
            z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + z_
            log_det_J -= s.sum(dim=1)
        return z, log_det_J

    def log_prob(self, x):
        z, logp = self.f(x)
        return Normal(self.prior_loc, self.prior_scale).log_prob(z).sum(-1) + logp

    def sample(self, n):
        z = Normal(self.prior_loc, self.prior_scale).sample((n,))
        return self.g(z)


def test_realnvp(check):
    masks = torch.tensor([[0.0, 1, 0, 1], [1, 0, 1, 0]] * 2)
    check(RealNVP(masks), vectors, entries=("log_prob",), sample="sample")


class FullPrior(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 4)
        self.loc = nn.Parameter(torch.zeros(4))
        self.tril = nn.Parameter(torch.eye(4) + 0.1 * torch.ones(4, 4).tril())

    def forward(self, x):
        return -MultivariateNormal(self.loc, scale_tril=self.tril.tril()).log_prob(self.net(x)).mean()


def test_prior_with_a_full_covariance(check):
    check(FullPrior(), vectors)


def spline(inputs, widths, heights, derivatives, tail=3.0):
    """Rational-quadratic, as in the paper's code: masks with data-independent use of torch.where."""
    bins = widths.shape[-1]
    widths = 1e-3 + (1 - 1e-3 * bins) * F.softmax(widths, -1)
    cumwidths = F.pad(torch.cumsum(widths, -1), (1, 0))
    cumwidths = 2 * tail * cumwidths - tail
    cumwidths[..., 0] = -tail
    cumwidths[..., -1] = tail
    widths = cumwidths[..., 1:] - cumwidths[..., :-1]
    derivatives = F.pad(1e-3 + F.softplus(derivatives), (1, 1), value=1.0)
    heights = F.softmax(heights, -1)
    cumheights = F.pad(torch.cumsum(heights, -1), (1, 0)) * 2 * tail - tail
    cumheights[..., -1] = tail
    heights = cumheights[..., 1:] - cumheights[..., :-1]
    inside = (inputs >= -tail) & (inputs <= tail)
    x = inputs.clamp(-tail + 1e-4, tail - 1e-4)
    index = torch.sum(x[..., None] >= cumwidths, -1, keepdim=True) - 1
    left = cumwidths.gather(-1, index)[..., 0]
    width = widths.gather(-1, index)[..., 0]
    bottom = cumheights.gather(-1, index)[..., 0]
    height = heights.gather(-1, index)[..., 0]
    delta = (heights / widths).gather(-1, index)[..., 0]
    d0 = derivatives.gather(-1, index)[..., 0]
    d1 = derivatives[..., 1:].gather(-1, index)[..., 0]
    theta = (x - left) / width
    mix = theta * (1 - theta)
    denominator = delta + (d0 + d1 - 2 * delta) * mix
    out = bottom + height * (delta * theta.pow(2) + d0 * mix) / denominator
    grad = delta.pow(2) * (d1 * theta.pow(2) + 2 * delta * mix + d0 * (1 - theta).pow(2))
    logabsdet = torch.log(grad) - 2 * torch.log(denominator)
    return torch.where(inside, out, inputs), torch.where(inside, logabsdet, torch.zeros_like(out))


class SplineCoupling(nn.Module):
    def __init__(self, bins=5):
        super().__init__()
        self.K = bins
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, (3 * bins - 1) * 2))

    def forward(self, x):
        lower, upper = x[:, :2], x[:, 2:]
        out = self.net(lower).reshape(-1, 2, 3 * self.K - 1)
        W, H, D = torch.split(out, self.K, dim=2)
        upper, ld = spline(upper, W, H, D)
        return torch.cat([lower, upper], dim=1), torch.sum(ld, dim=1)


def test_spline_coupling(check):
    check(SplineCoupling(), lambda n: 2 * torch.randn(n, 4))


class MaskedLinear(nn.Linear):
    """The mask as a buffer, applied functionally; from a numpy array, as in the MADE repositories."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", torch.ones(outputs, inputs))

    def set_mask(self, mask):
        self.mask.data.copy_(torch.from_numpy(mask.astype(np.uint8).T))

    def forward(self, x):
        return F.linear(x, self.mask * self.weight, self.bias)


class MADE(nn.Module):
    def __init__(self, size=4, hidden=8):
        super().__init__()
        self.net = nn.Sequential(
            MaskedLinear(size, hidden),
            nn.ReLU(),
            MaskedLinear(hidden, hidden),
            nn.ReLU(),
            MaskedLinear(hidden, 2 * size),
        )
        rng = np.random.RandomState(0)
        m = [np.arange(size), rng.randint(0, size - 1, size=hidden), rng.randint(0, size - 1, size=hidden)]
        masks = [
            m[0][:, None] <= m[1][None, :],
            m[1][:, None] <= m[2][None, :],
            m[2][:, None] < np.tile(m[0], 2)[None, :],
        ]
        for layer, mask in zip([x for x in self.net if isinstance(x, MaskedLinear)], masks, strict=True):
            layer.set_mask(mask)

    def forward(self, x):
        mu, alpha = self.net(x).chunk(2, dim=-1)
        u = (x - mu) * torch.exp(-alpha)
        return -0.5 * (u**2 + math.log(2 * math.pi)).sum(-1) - alpha.sum(-1)

    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, 4)
        u = torch.randn(n, 4)
        for i in range(4):
            mu, alpha = self.net(x).chunk(2, dim=-1)
            x[:, i] = u[:, i] * torch.exp(alpha[:, i]) + mu[:, i]
        return x


def test_masked_autoregressive_flow(check):
    emitted = check(MADE(), vectors, sample="sample")
    assert "range(4)" in emitted.text  # the sampler's steps are a loop


class BatchNormFlow(nn.Module):
    """Running moments written through `.data`, and `self.training` deciding in Python."""

    def __init__(self, size=4, momentum=0.0):
        super().__init__()
        self.log_gamma, self.beta = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(size))
        self.momentum = momentum
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, inputs):
        if self.training:
            self.batch_mean = inputs.mean(0)
            self.batch_var = (inputs - self.batch_mean).pow(2).mean(0) + 1e-5
            self.running_mean.mul_(self.momentum)
            self.running_var.mul_(self.momentum)
            self.running_mean.add_(self.batch_mean.data * (1 - self.momentum))
            self.running_var.add_(self.batch_var.data * (1 - self.momentum))
            mean, var = self.batch_mean, self.batch_var
        else:
            mean, var = self.running_mean, self.running_var
        x_hat = (inputs - mean) / var.sqrt()
        y = torch.exp(self.log_gamma) * x_hat + self.beta
        return y, (self.log_gamma - 0.5 * torch.log(var)).sum(-1, keepdim=True)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_batch_norm_flow(check, momentum):
    check(BatchNormFlow(momentum=momentum), vectors)


class Planar(nn.Module):
    def __init__(self, dim=4, layers=6):
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(torch.randn(dim)) for _ in range(layers)])
        self.u = nn.ParameterList([nn.Parameter(torch.randn(dim)) for _ in range(layers)])
        self.b = nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(layers)])

    def forward(self, z):
        log_det = torch.zeros(z.shape[0])
        for w, u, b in zip(self.w, self.u, self.b, strict=True):
            wu = w @ u
            u_hat = u + (-1 + F.softplus(wu) - wu) * w / (w.norm() ** 2 + 1e-15)
            h = torch.tanh(z @ w + b)
            z = z + u_hat * h[:, None]
            log_det += torch.log(torch.abs(1 + (w @ u_hat) * (1 - h**2)) + 1e-15)
        return z, log_det


def test_planar_flow_of_parameter_lists(check):
    emitted = check(Planar(), vectors)
    assert emitted.text.count("softplus") == 1  # one loop
