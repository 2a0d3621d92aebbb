"""Operators of every family: einsum and einops, complex numbers, sizes that are computed, types made on the fly."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from einops.layers.torch import Rearrange
from torch import nn


def images(n):
    return torch.randn(n, 2, 8, 8)


class Convolution(nn.Module):
    """A layer and what the subclass makes of its result [n, 4, 8, 8]."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x):
        return self.use(self.c(x), x)


class Einops(Convolution):
    def __init__(self):
        super().__init__()
        self.patches = nn.Sequential(Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=2, q=2), nn.Linear(16, 6))

    def use(self, h, x):
        height = h.shape[2]
        q, k, v = rearrange(h, "b (three d) y x -> three b (y x) d", three=1).repeat(3, 1, 1, 1)
        a = torch.einsum("b i d, b j d -> b i j", q, k).softmax(-1)
        out = rearrange(torch.einsum("bij,bjd->bid", a, v), "b (y x) d -> b d y x", y=height)
        mean = reduce(out, "b c (h 2) (w 2) -> b c h w", "mean")
        tokens = repeat(mean.mean((2, 3)), "b c -> b l c", l=3)
        return out + repeat(mean, "b c h w -> b c (h 2) (w 2)"), tokens, self.patches(h)


class Einsum(Convolution):
    def use(self, h, x):
        w = self.c.weight
        a = torch.einsum("bchw,dc->bdhw", h, w[:, :, 0, 0] @ w[:, :, 1, 1].t())
        b = torch.einsum("bc...,bd...->bcd", h, x)
        return a, b, torch.einsum("ii->i", b.mean(0) @ b.mean(0).t()), torch.tensordot(h, w, dims=([1], [0]))


class Fourier(Convolution):
    """A spectral layer with complex products."""

    def __init__(self):
        super().__init__()
        self.real = nn.Parameter(torch.randn(4, 4, 3, 3, 2))

    def use(self, h, x):
        f = torch.fft.rfft2(h, norm="ortho")
        out = torch.zeros(h.shape[0], 4, h.size(-2), h.size(-1) // 2 + 1, dtype=torch.cfloat, device=h.device)
        out[:, :, :3, :3] = torch.einsum("bixy,ioxy->boxy", f[:, :, :3, :3], torch.view_as_complex(self.real))
        y = torch.fft.irfft2(out, s=(h.size(-2), h.size(-1)), norm="ortho")
        return y + torch.fft.fftshift(torch.fft.fft(h).abs(), dim=-1), f.angle().cos(), torch.view_as_real(f)


class Complex(Convolution):
    def use(self, h, x):
        z = torch.complex(h, h.roll(1, 1)) * 1j + (2 - 3j)
        p = torch.polar(h.abs() + 0.1, h)
        rotated = torch.view_as_real(z * p * torch.exp(1j * torch.tensor(0.3)))
        return z.conj().real, (z * z.conj()).imag, rotated.flatten(-2), z.abs(), torch.stack([z.real, z.imag])


class Spectrogram(Convolution):
    def use(self, h, x):
        signal = h.flatten(1)[:, :64]
        s = torch.stft(signal, 16, hop_length=4, window=torch.hann_window(16), return_complex=True)
        back = torch.istft(s, 16, hop_length=4, window=torch.hann_window(16), length=64)
        return s.abs().log1p(), back


class Sizes(Convolution):
    """Sizes from sizes."""

    def use(self, h, x):
        small = F.interpolate(h, size=(h.shape[2] // 2, h.shape[3] // 2), mode="bilinear", align_corners=False)
        big = F.interpolate(small, scale_factor=2, mode="nearest") + F.interpolate(small, x.shape[2:], mode="bicubic")
        left = (-h.shape[-1]) % 5
        padded = F.pad(big, (0, left, left // 2, left - left // 2), mode="reflect")
        half = h.shape[1] // 2
        return padded, h[:, :half] * h[:, half:], h.reshape(h.shape[0], -1, *h.shape[3:]), small.view(len(h), half, -1)


class Folded(Convolution):
    def use(self, h, x):
        u = F.unfold(h, 3, padding=1, stride=2)
        back = F.fold(u * 2, h.shape[2:], 3, padding=1, stride=2)
        windows = h.unfold(2, 4, 2).unfold(3, 4, 2)
        return back, windows.mean((-1, -2)), F.pixel_shuffle(h, 2), F.pixel_unshuffle(x, 4), F.channel_shuffle(h, 2)


class BatchSizes(Convolution):
    """The batch size as a number: halves, sums, means, products."""

    def use(self, h, x):
        n = x.shape[0]
        flat = h.flatten(1)
        together = torch.cat([flat, flat * 2])
        similarity = together @ together.t() / math.sqrt(flat.shape[1])
        mask = torch.eye(2 * n, dtype=torch.bool)
        logits = similarity.masked_fill(mask, -1e9)
        labels = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
        pairs = (flat[:, None] - flat[None]).pow(2).sum(2).view(n * n).sum()
        loss = F.cross_entropy(logits, labels)
        return (
            loss + pairs,
            flat.sum() / n,
            flat.sum() / len(x),
            flat.sum() * (1.0 / n),
            similarity.sum() / (n * n) + n * (n - 1) // 2,
        )


class Halves(Convolution):
    """Two halves of a batch: the batch must be even, and odd ones are recorded."""

    def use(self, h, x):
        a, b = h.repeat(2, 1, 1, 1).chunk(2)
        first, second = torch.split(h.repeat_interleave(2, 0), x.size(0))
        return a * b, first - second, h.expand(3, *h.shape).reshape(-1, 4, 8, 8)


class Types(Convolution):
    def use(self, h, x):
        d = h.double() * torch.tensor(0.1, dtype=torch.float64) + torch.ones(1, dtype=torch.float64)
        half = h.to(torch.bfloat16).float() + h.half().to(x.dtype) + h.type_as(x)
        counts = (h > 0).sum((1, 2, 3)) + (x != 0).long().sum((1, 2, 3)) // 3 + h.argmax(1).sum((1, 2)) % 5
        bits = (counts & 3) | (counts << 1) ^ 7
        scaled = torch.arange(8, device=h.device).to(h) + torch.zeros(8, dtype=h.dtype) + torch.linspace(0, 1, 8)
        return d, half, counts, bits, h * scaled, h.new_tensor([1.0, 2.0]).sum() * h.mean(), x.int().float() / 255


class Reductions(Convolution):
    def use(self, h, x):
        values, indices = h.flatten(2).max(dim=2)
        q = torch.quantile(h.flatten(1), torch.tensor([0.25, 0.5]), dim=1)
        s = h.flatten(1).std(1, unbiased=False) + h.var((1, 2, 3)) + h.norm(p=1, dim=(1, 2, 3))
        lse = torch.logsumexp(h, (2, 3)) + h.amax((2, 3)) - h.prod(3).sum(2).tanh() + h.cumsum(3)[..., -1, -1]
        return values, indices, q, s, lse, h.flatten(1).median(1).values, h.flatten(1).kthvalue(3)[0], torch.aminmax(h)


class Comparison(Convolution):
    def use(self, h, x):
        m = (h > 0) & ~(h > 1) | (h < -1) ^ (h.abs() <= 0.5)
        c = (
            torch.where(m, h, 0.0)
            + torch.clamp(h, min=-0.5)
            + h.clamp(max=0.3)
            + torch.maximum(h, -h)
            + h.minimum(h * 2)
        )
        return (
            c,
            torch.sign(h) * (h**2 + 1e-6) ** 0.5,
            2**h,
            1 / (h * h + 1),
            3 - h,
            -h % 2,
            h.detach() // 0.5,
            m.any(1),
            (~m).all(),
        )


class Linalg(Convolution):
    def use(self, h, x):
        a = h.flatten(2) @ h.flatten(2).transpose(1, 2) / 64 + torch.eye(4)
        low = torch.linalg.cholesky(a)
        solved = torch.cholesky_solve(h[:, :, :, 0], low) + torch.linalg.solve(a, h[:, :, 0])
        tri = torch.linalg.solve_triangular(low, h[..., 0], upper=False)
        sign, logdet = torch.linalg.slogdet(a)
        return solved, tri, logdet, sign, torch.logdet(a), torch.linalg.inv(a), a.diagonal(dim1=-2, dim2=-1), a.tril(-1)


class Indexing(Convolution):
    def use(self, h, x):
        rows = torch.arange(h.shape[0])
        best = h.flatten(2).argmax(2)
        picked = h.flatten(2).gather(2, best[..., None]).squeeze(-1)
        taken = h[:, [0, 2]][..., None, 1:-1:2, ::3] + h[:, torch.tensor([3, 1])][:, :, None, 1:-1:2, ::3]
        return picked, taken, h[rows, best[:, 0] % 4], h.index_select(1, torch.tensor([1, 1])), h[-1:], h[..., -1, :2]


class Shaping(Convolution):
    def use(self, h, x):
        a = h.permute(0, 2, 3, 1).contiguous().view(h.size(0), -1, 4).movedim(1, 2).unflatten(2, (8, 8))
        b = h.unsqueeze(1).expand(-1, 3, -1, -1, -1).flatten(0, 1).reshape(h.size(0), 3, *h.shape[1:]).swapaxes(1, 2)
        c = torch.stack(h.unbind(1), -1).squeeze().tile(1, 1, 1, 2).narrow(3, 1, 4).flip(-1, 1).rot90(1, (1, 2))
        d = torch.broadcast_to(h.mean((2, 3), keepdim=True), h.shape) + torch.hstack(h.hsplit(2)) + h.mT + h.mH
        return a, b, c, d, torch.cartesian_prod(torch.arange(2), torch.arange(3)), torch.block_diag(h[0, 0], h[0, 1])


class Activations(Convolution):
    def use(self, h, x):
        names = (
            "relu6 elu selu celu gelu silu mish softplus hardtanh hardswish hardsigmoid logsigmoid tanhshrink softsign"
        )
        out = sum(getattr(F, name)(h) for name in names.split())
        out = out + F.glu(h, 1).repeat(1, 2, 1, 1) + F.leaky_relu(h, 0.2) + F.threshold(h, 0.1, 0) + F.softshrink(h)
        return out + F.prelu(h, self.c.bias) + F.normalize(h, dim=1) + F.softmin(h, 1) + F.log_softmax(h, dim=-1)


class Losses(Convolution):
    def use(self, h, x):
        p, q = h[:, :2], x
        parts = [
            F.l1_loss(p, q),
            F.smooth_l1_loss(p, q),
            F.huber_loss(p, q, delta=0.5),
            F.mse_loss(p, q, reduction="sum"),
        ]
        parts.append(F.binary_cross_entropy_with_logits(p, q.sigmoid(), pos_weight=torch.tensor(2.0)))
        parts.append(F.binary_cross_entropy(p.sigmoid(), q.sigmoid(), reduction="none").mean())
        parts.append(F.kl_div(p.log_softmax(1), q.softmax(1), reduction="batchmean"))
        parts.append(F.gaussian_nll_loss(p, q, p.exp(), full=True) + F.poisson_nll_loss(p, q.exp()))
        parts.append(F.cosine_similarity(p, q).mean() + F.triplet_margin_loss(p, q, q.roll(1, 0)))
        parts.append(F.cross_entropy(h.mean((2, 3)), h.sum((2, 3)).argmax(1), label_smoothing=0.1))
        return torch.stack(parts)


class Convolutions(Convolution):
    def __init__(self):
        super().__init__()
        self.depthwise, self.up = nn.Conv2d(4, 8, 3, 2, 1, groups=4), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1)
        self.same = nn.Conv2d(4, 4, (1, 3), padding="same", dilation=(1, 2), padding_mode="circular")
        self.pool, self.one = nn.AdaptiveAvgPool2d((2, None)), nn.Conv1d(4, 2, 1, bias=False)

    def use(self, h, x):
        y = self.same(self.up(self.depthwise(h)))
        z = F.max_pool2d(y, 2) + F.avg_pool2d(y, 3, 2, 1, count_include_pad=False) + F.lp_pool2d(y, 2, 2)
        g = F.grid_sample(h, F.affine_grid(torch.eye(2, 3).expand(h.size(0), 2, 3), h.shape, align_corners=False))
        return (
            self.pool(z),
            self.one(h.flatten(2)),
            F.adaptive_max_pool2d(y, 1),
            F.instance_norm(g),
            F.bilinear(h[:, :, 0, :2], h[:, :, 1, :3], self.c.weight[:, :, 0, :3]),
        )


@pytest.mark.filterwarnings("ignore:Default grid_sample")
@pytest.mark.parametrize(
    "model",
    [
        Einops,
        Einsum,
        Fourier,
        Complex,
        Spectrogram,
        Sizes,
        Folded,
        BatchSizes,
        Halves,
        Types,
        Reductions,
        Comparison,
        Linalg,
        Indexing,
        Shaping,
        Activations,
        Losses,
        Convolutions,
    ],
)
def test_operators(check, model):
    check(model(), images, exact=False)


class Energy(nn.Module):
    """Its output is a gradient: scores, Langevin steps, gradient fields."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1))

    def score(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            energy = self.net(x).sum()
            return -torch.autograd.grad(energy, x, create_graph=True)[0]

    def loss(self, x):
        noise = torch.randn_like(x)
        return (0.1 * self.score(x + 0.1 * noise) + noise).pow(2).sum(1).mean()

    def contrastive(self, x):
        samples = torch.rand_like(x)
        for _ in range(3):
            samples = (samples + 0.1 * self.score(samples) + 0.01 * torch.randn_like(x)).detach()
        return self.net(x).mean() - self.net(samples).mean()

    def sliced(self, x):
        x = x.clone().requires_grad_()
        v = torch.randn_like(x)
        s = torch.autograd.grad(self.net(x).sum(), x, create_graph=True, retain_graph=True)[0]
        (g,) = torch.autograd.grad((s * v).sum(), x, create_graph=True)
        return ((g * v).sum(1) + 0.5 * (s**2).sum(1)).mean()

    def jacobian(self, x):
        y = torch.tanh(self.net[0](x))[:, :4] * x
        return torch.func.vmap(torch.func.jacrev(lambda row: torch.tanh(self.net[0](row))[:4]))(x).sum() + y.sum()


def test_gradients_inside(check):
    check(Energy(), lambda n: torch.randn(n, 4), entries=("score", "loss", "contrastive", "sliced"), exact=False)


class Backward(Energy):
    """Uses backward() and .grad."""

    def forward(self, x):
        x = x.detach().requires_grad_(True)
        self.net(x).sum().backward()
        return x.grad * 2


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4).double()
        self.register_buffer("scale", torch.tensor([1.0, 2, 3, 4], dtype=torch.float64))

    def forward(self, x):
        return self.l(x) * self.scale + torch.ones(4, dtype=torch.float64)


def test_double_precision(check):
    check(Double(), lambda n: torch.randn(n, 4, dtype=torch.float64))


class Brain(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4).bfloat16()
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("ids", torch.tensor([3, 1, 0, 2]))

    def forward(self, x):
        return (self.l(x.bfloat16())[:, self.ids] * self.mask).float()


def test_bfloat16(check):
    check(Brain(), lambda n: torch.randn(n, 4), exact=False)


class Autocast(Energy):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.net(x).float()


class Mapped(Energy):
    def forward(self, x):
        return self.jacobian(x)


@pytest.mark.parametrize("model, code", [(Backward, "HG401"), (Mapped, "HG401"), (Autocast, "HG401")])
def test_what_is_refused(refused, model, code):
    refused(code, model(), lambda n: torch.randn(n, 4), where="test_operators.py")
