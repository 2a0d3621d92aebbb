"""How modules hold weights: shared, tied, listed, frozen, empty, reparameterized, made late; autograd functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations, parametrize

from hypergen_compiler.capture import entry_points
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.errors import HyperGenError, HyperGenWarning


def vectors(n):
    return torch.randn(n, 4)


class SharedModule(nn.Module):
    """One module under two names, and inside of another."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a
        self.list = nn.ModuleList([self.a, nn.Linear(4, 4), self.a])
        self.block = nn.Sequential(self.a, nn.ReLU())

    def forward(self, x):
        for layer in self.list:
            x = torch.tanh(layer(x))
        return self.b(self.a(x)) + self.block(x)


class Tied(nn.Module):
    """Parameters shared between modules, transposed, and between a list and a module."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(4, 6), nn.Linear(6, 4)
        self.scale = nn.Parameter(torch.randn(4))
        self.dec.bias = self.scale
        self.scales = nn.ParameterList([self.scale, nn.Parameter(torch.randn(6)), self.enc.bias])

    def forward(self, x):
        h = F.relu(self.enc(x)) * self.scales[1] + self.scales[2]
        return F.linear(h, self.enc.weight.t(), self.scale) + self.dec(h) * self.scales[0]


class Lists(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(5)])
        self.uneven = nn.ParameterList([nn.Parameter(torch.randn(k, 4)) for k in (1, 2, 3)])
        self.named = nn.ParameterDict({"left": nn.Parameter(torch.randn(4)), "right": nn.Parameter(torch.ones(()))})
        self.nested = nn.ModuleList([nn.ParameterList([nn.Parameter(torch.randn(4))]), nn.ModuleDict()])
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Sequential(nn.Linear(4, 4), nn.Tanh())})

    def forward(self, x):
        for weight in self.weights:
            x = torch.tanh(x @ weight)
        for weight in self.uneven:
            x = x + (x @ weight.t()).sum(1, keepdim=True)
        for head in self.heads.values():
            x = x + head(x)
        return x * self.named["left"] + self.named["right"] + self.nested[0][0]


class Scalars(nn.Module):
    """Parameters without dimensions, without elements, of one element."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.gains = nn.Parameter(torch.ones(1))
        self.nothing = nn.Parameter(torch.zeros(0, 4))
        self.l = nn.Linear(4, 4)
        self.register_parameter("absent", None)

    def forward(self, x):
        h = self.l(x) / self.temperature.exp() * self.gains
        h = h + self.nothing.sum()
        return h if self.absent is None else h * self.absent


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).requires_grad_(False)
        self.l, self.fixed = nn.Linear(4, 4), nn.Parameter(torch.randn(4), requires_grad=False)
        self.counts = nn.Parameter(torch.arange(4.0), requires_grad=False)

    def forward(self, x):
        with torch.no_grad():
            target = self.features(x)
        return (self.l(x) - target) * self.fixed + self.features(x) * self.counts


class WholeNumbers(nn.Module):
    """Parameters that have no gradient, one of them under two names; in some libraries a permutation is one."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.order = nn.Parameter(torch.randperm(4), requires_grad=False)
        self.kept = nn.Parameter(torch.tensor([True, False, True, True]), requires_grad=False)
        self.again = self.order

    def forward(self, x):
        return (self.l(x)[:, self.order] * self.kept)[:, self.again]


class Hidden(nn.Module):
    """Modules that are empty, or hold nothing but others."""

    def __init__(self):
        super().__init__()
        self.empty, self.none, self.pass_on = nn.ModuleList(), nn.Sequential(), nn.Identity()
        self.outer = nn.ModuleDict({"inner": nn.ModuleDict({"deep": nn.ModuleList([nn.Linear(4, 4)])})})
        self.gap = nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.Dropout(0.0), nn.Linear(4, 4), nn.Flatten())
        self.optional = None

    def forward(self, x):
        for layer in self.empty:
            x = layer(x)
        x = self.pass_on(self.none(x))
        return self.gap(self.outer["inner"]["deep"][0](x))


class Normalized(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.a, self.b = wrap(nn.Linear(4, 6)), wrap(nn.Linear(6, 4))
        self.c = wrap(nn.Conv1d(1, 2, 3, padding=1))

    def forward(self, x):
        x = torch.tanh(self.b(F.relu(self.a(x))))
        return self.c(x[:, None]).flatten(1)


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)


class Positive(nn.Module):
    def forward(self, x):
        return F.softplus(x)


class Parametrized(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        parametrize.register_parametrization(self.a, "weight", Symmetric())
        parametrize.register_parametrization(self.a, "weight", Positive())
        parametrize.register_parametrization(self.b, "bias", Positive())

    def forward(self, x):
        with parametrize.cached():
            return self.b(self.a(self.a(x)))


class Lora(nn.Module):
    """A frozen layer with a low-rank addition."""

    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * 0.5


class Lazy(nn.Module):
    """Layers that learn their sizes from the first batch."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.LazyLinear(6), nn.LazyLinear(4)

    def forward(self, x):
        return self.b(F.relu(self.a(x)))


class LazyNorm(Lazy):
    """Its uninitialised buffers cannot be copied."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LazyBatchNorm1d()

    def forward(self, x):
        return self.norm(super().forward(x))


class MadeLate(nn.Module):
    """A parameter that exists after the first call alone."""

    def __init__(self):
        super().__init__()
        self.l, self.scale = nn.Linear(4, 4), None

    def forward(self, x):
        h = self.l(x)
        if self.scale is None:
            self.scale = nn.Parameter(torch.ones(h.shape[1]))
        return h * self.scale


class Mixture(nn.Module):
    """Experts chosen softly, and by a table of weights."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.gate, self.table = nn.Linear(4, 3), nn.Parameter(torch.randn(3, 4, 4))

    def forward(self, x):
        gates = self.gate(x).softmax(1)
        outs = torch.stack([expert(x) for expert in self.experts], 1)
        best = self.table[gates.argmax(1)]
        return (gates[..., None] * outs).sum(1) + torch.bmm(best, x[..., None]).squeeze(-1)


class Functional(nn.Module):
    """Weights that are made from weights, and used as such: a hypernetwork in the model itself."""

    def __init__(self):
        super().__init__()
        self.code, self.head, self.l = nn.Parameter(torch.randn(3)), nn.Linear(3, 20), nn.Linear(4, 4)

    def forward(self, x):
        weight, bias = self.head(self.code).split([16, 4])
        h = F.linear(x, weight.view(4, 4), bias)
        inner = {"weight": self.l.weight * 2, "bias": self.l.bias + 1}
        return torch.func.functional_call(self.l, inner, (h,))


@pytest.mark.parametrize(
    "model",
    [
        SharedModule,
        Tied,
        Lists,
        Scalars,
        Frozen,
        WholeNumbers,
        Hidden,
        lambda: Normalized(parametrizations.weight_norm),
        lambda: Normalized(parametrizations.spectral_norm),
        lambda: Normalized(nn.utils.spectral_norm),
        lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
        Parametrized,
        lambda: nn.Sequential(Lora(nn.Linear(4, 6)), nn.GELU(), Lora(nn.Linear(6, 4))),
        Mixture,
        Functional,
    ],
)
@pytest.mark.filterwarnings("ignore:.*(weight_norm|spectral_norm).* is deprecated")
def test_modules(check, model):
    check(model(), vectors, exact=False)


@pytest.mark.parametrize("model", [Lazy, MadeLate])
def test_parameters_that_the_first_call_makes(check, model):
    made = model()
    names = set(dict(made.named_parameters()))
    ready = warmed(made, entry_points(made, vectors, loss=None, sample=None, entries=("forward",)))
    assert set(dict(made.named_parameters())) == names and not any(map(is_lazy, ready.parameters()))
    check(ready, vectors)


def test_lazy_buffers_are_refused():
    made = LazyNorm()
    with pytest.raises(HyperGenError, match="has lazy layers") as caught:
        warmed(made, entry_points(made, vectors, loss=None, sample=None, entries=("forward",)))
    assert "Call the model on a batch" in caught.value.remedy


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_by_hooks(emit, check):
    model = Normalized(nn.utils.weight_norm)
    text = body(emit(model, vectors))  # before its first call it cannot be copied: recorded as it is
    with torch.no_grad():
        model(vectors(2))
    assert body(check(model, vectors)) == text


def body(emitted):
    return emitted.text.partition("def ")[2]


class Unread(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.spare, self.other = nn.Linear(4, 4), nn.Linear(4, 4), nn.Parameter(torch.randn(3))

    def forward(self, x):
        return self.l(x)


def test_unread_parameters_are_kept_with_a_warning(check):
    with pytest.warns(
        HyperGenWarning, match="no entry point reads other, spare.weight, spare.bias: exported unchanged"
    ):
        emitted = check(Unread(), vectors)
    assert emitted.weights.EMITTED < emitted.weights.SIZE


class Copied(nn.Module):
    """Deep copies of a block, made at the start; a frozen target network among them."""

    def __init__(self):
        super().__init__()
        import copy

        block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.online = nn.ModuleList([copy.deepcopy(block) for _ in range(3)])
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    @torch.no_grad()
    def follow(self):
        for online, target in zip(self.online.parameters(), self.target.parameters(), strict=True):
            target.data.lerp_(online.data, 0.1)

    def forward(self, x):
        if self.training:
            self.follow()
        a = b = x
        for online, target in zip(self.online, self.target, strict=True):
            a, b = online(a), target(b)
        return F.mse_loss(a, b.detach())


def test_a_target_network_that_follows_is_refused(refused):
    refused("HG204", Copied(), vectors, where="test_modules.py")


def test_unusual_owners_of_weights(check):
    class Meta(type):
        pass

    class Base(nn.Module, metaclass=Meta):
        def __getattr__(self, name):
            if name == "computed":
                return self.l.weight * 2
            return super().__getattr__(name)

        @property
        def bias(self):
            return self.l.bias.exp()

    class Model(Base):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(4, 4)
            self.hidden = [self.l.bias]

        def __call__(self, *args, **kwargs):
            return super().__call__(*args, **kwargs) * 2

        def forward(self, x):
            return x @ self.computed + self.bias + self.hidden[0]

    check(Model(), vectors)
