"""Entry points with further inputs, and real branches on the mode."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import hypergen_compiler as hypergen
from hypergen_compiler.errors import HyperGenError


def vectors(n):
    return torch.randn(n, 4)


class Labels(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.l = nn.Embedding(3, 4), nn.Linear(8, 4)

    def forward(self, x, labels):
        return self.l(torch.cat([x, self.embed(labels)], dim=1))

    def sample(self, n, labels=None):
        if labels is None:
            labels = torch.arange(n) % 3
        return self(torch.randn(n, 4), labels)

    def loss(self, x, y, weight=1.0, reduction="mean", smooth=False):
        out = F.mse_loss(self(x, y), x, reduction=reduction) * weight
        return out + 0.1 if smooth else out


def labelled(n):
    return torch.randn(n, 4), torch.randint(0, 3, (n,))


def test_labels(check):
    emitted = check(Labels(), labelled, sample="sample", entries=("forward", "loss"))
    assert emitted.program.entry("forward").inputs[1].vocabulary == 3


class Times(nn.Module):
    """Timesteps as integers, floats, and one number for the whole batch."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(12, 4)

    def embed(self, t):
        half = 4
        freqs = torch.exp(-math.log(10000) * torch.arange(start=0, end=half, dtype=torch.float32) / half)
        args = t[:, None].float() * freqs[None]
        return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)

    def forward(self, x, t, context=None):
        if not torch.is_tensor(t):
            t = torch.tensor([t], dtype=torch.long, device=x.device)
        elif t.ndim == 0:
            t = t[None].to(x.device)
        t = t * torch.ones(x.shape[0], dtype=t.dtype, device=t.device)
        h = self.l(torch.cat([x, self.embed(t)], 1))
        return h if context is None else h * context.mean(1)


@pytest.mark.parametrize(
    "more",
    [
        lambda n: (torch.randint(0, 100, (n,)),),
        lambda n: (torch.rand(n),),
        lambda n: (torch.tensor(7),),
        lambda n: (13,),
        lambda n: (0.5,),
        lambda n: (torch.rand(n), torch.randn(n, 5, 4)),
        lambda n: (torch.rand(n), None),
    ],
)
def test_times(check, more):
    check(Times(), lambda n: (torch.randn(n, 4), *more(n)))


class Plain(nn.Module):
    """Numbers, flags, words and nothing as inputs."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x, scale, flag=True, how="relu", rest=None, sizes=(4,), *, extra=2):
        h = self.l(x) * scale
        if flag:
            h = h + extra
        h = {"relu": F.relu, "tanh": torch.tanh}[how](h)
        return h.view(-1, *sizes) if rest is None else h + rest


@pytest.mark.parametrize(
    "more", [(2.0, True, "tanh"), (3, False), (1, True, "relu", None, (2, 2)), (-0.5, True, "relu", 1)]
)
def test_plain_inputs(check, more):
    check(Plain(), lambda n: (torch.randn(n, 4), *more))


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Plain()

    def forward(self, x, mask):
        h = self.net(x, scale=2, how="tanh", extra=x.shape[1])
        return h.masked_fill(~mask, 0.0) + self.net(x=x, scale=mask.float())


def test_keywords_and_boolean_masks(check):
    check(Keywords(), lambda n: (torch.randn(n, 4), torch.rand(n, 4) > 0.3))


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, batch):
        return self.l(batch["data"]) * batch["weight"][:, None]


def test_dictionary_of_inputs(check):
    call = lambda model, data, weight: model({"data": data, "weight": weight})  # noqa: E731
    check(Dictionary(), lambda n: (torch.randn(n, 4), torch.rand(n)), entries={"forward": call})


class Pooled(nn.Module):
    """Context without a batch dimension, and an empty input."""

    def __init__(self):
        super().__init__()
        self.l, self.k = nn.Linear(4, 4), nn.Linear(3, 4)

    def forward(self, x, context, nothing):
        return self.l(x) + self.k(context).mean(0) + nothing.sum()


def test_inputs_without_a_batch(check):
    check(Pooled(), lambda n: (torch.randn(n, 4), torch.randn(6, 3), torch.zeros(n, 0)))


class Sixteen(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.e = nn.Linear(4, 4), nn.EmbeddingBag(5, 4, mode="sum")

    def forward(self, x, ids, z, small):
        return self.l(x.float()) + self.e(ids.long()) + z.real[:, None] * z.imag[:, None] + small.to(torch.float32)


def test_inputs_of_many_types(check):
    example = lambda n: (  # noqa: E731
        torch.randn(n, 4, dtype=torch.float64),
        torch.randint(0, 5, (n, 3), dtype=torch.int32),
        torch.randn(n, dtype=torch.complex64),
        torch.randint(0, 255, (n, 4), dtype=torch.uint8),
    )
    check(Sixteen(), example)


class VAE(nn.Module):
    """The textbook's reparameterize: eval returns the mean."""

    def __init__(self):
        super().__init__()
        self.enc, self.mean, self.log_var, self.dec = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2), nn.Linear(2, 4)

    def reparameterize(self, mu, logvar):
        if self.training:
            std = torch.exp(0.5 * logvar)
            eps = torch.randn_like(std)
            return mu + eps * std
        return mu

    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, logvar = self.mean(h), self.log_var(h)
        z = self.reparameterize(mu, logvar)
        return torch.sigmoid(self.dec(z)), mu, logvar

    def loss(self, x):
        recon, mu, logvar = self(x)
        bce = F.mse_loss(recon, x, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


def test_reparameterize(check):
    check(VAE(), vectors, loss="loss", entries=("forward",))


class Paths(nn.Module):
    """Auxiliary heads in training alone, ensembles in evaluation alone."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.aux, self.other = (nn.Linear(4, 4) for _ in range(4))
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.4)

    def forward(self, x):
        h = self.drop(self.norm(self.body(x)))
        out = self.head(h)
        if self.training:
            h = self.aux(h)
            out = out + 0.1 * h
        else:
            out = (out + self.other(h)) / 2
        return out


def test_paths_of_both_modes(check):
    check(Paths(), vectors)


class SwitchesItself(nn.Module):
    """Sets parts of itself to evaluation: a frozen norm, a teacher."""

    def __init__(self):
        super().__init__()
        self.l, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.teacher = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
        self.train()

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        self.teacher.eval()
        return self

    def forward(self, x):
        return self.norm(self.l(x)) + self.teacher(x).detach()


@pytest.mark.filterwarnings("ignore:no entry point reads")
def test_parts_that_stay_in_evaluation(check):
    check(SwitchesItself(), vectors)


class InModel(nn.Module):
    """eval() and train() inside of the entry point."""

    def __init__(self):
        super().__init__()
        self.l = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))

    def forward(self, x):
        was = self.l.training
        self.l.eval()
        with torch.no_grad():
            target = self.l(x)
        self.l.train(was)
        return self.l(x) - target


def test_modes_changed_inside(check):
    check(InModel(), vectors)


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.2)) for _ in range(3)])
        self.reentrant = reentrant

    def forward(self, x):
        for block in self.blocks:
            x = x + (checkpoint(block, x, use_reentrant=self.reentrant) if self.training else block(x))
        return x


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_checkpoints(check, emit):
    usual = check(Checkpointed(False), vectors)
    reentrant = emit(Checkpointed(True), vectors)  # whose own gradient autograd.grad refuses to compute
    assert body(reentrant) == body(usual)


def body(emitted):
    return emitted.text.partition("def ")[2]


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.features = nn.Linear(4, 4), nn.Linear(4, 4), []
        self.a.register_forward_hook(lambda module, inputs, out: torch.tanh(out))
        self.a.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
        self.register_forward_hook(lambda module, inputs, out: out + inputs[0])
        self.b.register_forward_hook(self.keep)

    def keep(self, module, inputs, out):
        self.features.append(out)

    def forward(self, x):
        self.features.clear()
        h = self.b(self.a(x))
        return h * self.features[0]


def test_hooks(check):
    check(Hooked(), vectors)


class Scheduled(nn.Module):
    """A rate that a Python attribute holds."""

    def __init__(self):
        super().__init__()
        self.l, self.beta, self.step = nn.Linear(4, 4), 0.3, 0

    def forward(self, x):
        return self.l(x) * self.beta + self.step

    def anneal(self):
        self.beta = min(1.0, self.beta + 0.1)


def test_python_attributes(check):
    check(Scheduled(), vectors)


class Counting(Scheduled):
    def forward(self, x):
        self.step += 1
        return self.l(x) * min(1.0, self.step / 10)


def test_a_python_counter_is_refused(tmp_path):
    with pytest.raises(HyperGenError) as caught:
        hypergen.compile(Counting(), vectors, out=tmp_path / "counting", loss=None, sample=None, entries=("forward",))
    assert caught.value.code == "HG204" and not (tmp_path / "counting").exists()


class Inference(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, 4)
        for i in range(3):
            x = x - 0.1 * self.l(x) + 0.01 * i
        return x

    @torch.inference_mode()
    def fast(self, x):
        return self.l(x).clamp_(min=0)

    def loss(self, x):
        with torch.enable_grad():
            y = self.l(x)
        with torch.set_grad_enabled(False):
            z = self.l(y)
        return (y - z).pow(2).mean()


def test_gradients_off_and_on(check):
    check(Inference(), vectors, loss="loss", sample="sample", entries=("fast",))


class Cached(nn.Module):
    """Half of the work is kept on the module for a second method."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec, self.z = nn.Linear(4, 3), nn.Linear(3, 4), None

    def encode(self, x):
        self.z = self.enc(x)
        return self.z.mean(1)

    def decode(self):
        return self.dec(self.z)

    def forward(self, x):
        m = self.encode(x)
        return self.decode() * m[:, None] + self.extra(self.z)

    def extra(self, z):
        self.kept = {"z": z, "list": [z * 2]}
        return self.kept["list"][0].sum(1, keepdim=True) + self.kept["z"][:, :1]


def test_results_kept_on_the_module(check):
    check(Cached(), vectors)
