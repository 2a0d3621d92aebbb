"""Names that Python, torch or the package itself have other plans for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

KEYWORDS = "class lambda def None True import return async match case type print list len range zip self".split()
PACKAGE = "w state n training Weights State loss torch F LAYOUT SIZE CONSTANTS TIED unpack pack Tensor nn read".split()
TUPLE_METHODS = ["count", "index", "_fields", "_asdict", "_replace", "_make", "__len__", "__class_getitem__"]
MODULE_METHODS = ["tensors", "to_state_dict", "BUFFERS", "Path", "name", "flat", "at", "cls", "i", "stored", "shape"]
STRANGE = [
    "a b", "a-b", "a_b", "0", "1st", "ünïcode", "日本", "ñ", "quo\"te", "quo'te", "back\\slash", "new\nline", "{brace}",
    "%s", "#", "'''", '"""', "}{", "f'{x}'", "trailing_", "_leading", "__dunder", "CamelCase", "UPPER", " ", "\u2028",
]  # fmt: skip
ALL = [*KEYWORDS, *PACKAGE, *TUPLE_METHODS, *MODULE_METHODS, *STRANGE]


def vectors(n):
    return torch.randn(n, 4)


def usable(name):
    return not hasattr(nn.Module(), name)


class OddParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.names = [name for name in ALL if usable(name)]
        for name in self.names:
            self.register_parameter(name, nn.Parameter(torch.randn(4)))

    def forward(self, x):
        for name in self.names:
            x = torch.tanh(x * self._parameters[name])
        return x


class OddBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        for number, name in enumerate(name for name in ALL if usable(name) and name != "l"):
            self.register_buffer(name, torch.randn(4) if number % 2 else torch.randn(3, 4), persistent=number % 3 > 0)

    def forward(self, x):
        x = self.l(x)
        for buffer in self._buffers.values():
            buffer.mul_(1.5)
            x = torch.tanh(x * buffer.sum(0))
        return x


class OddChild(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return torch.tanh(self.norm(self.l(x)) + x)


class OddModules(nn.Module):
    def __init__(self):
        super().__init__()
        for number, name in enumerate(name for name in ALL if usable(name)):
            if number % 3:
                self.add_module(name, OddChild())
            else:
                self.add_module(name, nn.Linear(4, 4))

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x


class OddDictionaries(nn.Module):
    def __init__(self):
        super().__init__()
        names = [name for name in ALL if usable(name) and not hasattr(nn.ModuleDict(), name)]
        self.layers = nn.ModuleDict({name: nn.Linear(4, 4) for name in names})
        names = [name for name in names if not hasattr(nn.ParameterDict(), name)]
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.randn(4)) for name in names})

    def forward(self, x):
        for layer in self.layers.values():
            x = torch.tanh(layer(x))
        for name in self.scales:
            x = x * self.scales[name]
        return x


@pytest.mark.parametrize("model", [OddParameters, OddBuffers, OddModules, OddDictionaries])
def test_names_of_parameters_buffers_and_modules(check, model):
    check(model(), vectors, sizes=(3,))


def made_class(name):
    return type(name, (OddChild,), {"forward": lambda self, x: torch.sin(self.norm(self.l(x))) + x * 2})


CLASSES = (
    "Weights State Tensor NamedTuple Mapping Path LAYOUT F torch nn int Any CONSTANTS TENSORS Größe A_B A-B".split()
)


def test_names_of_classes(check):
    blocks = [
        made_class(name)() for name in [*CLASSES, "print", "class", "1x", "日本", "new\nline", 'q"q', "W", "Linear"]
    ]
    check(nn.Sequential(*blocks), vectors, sizes=(3,))


def named_function(name):
    def function(x, y):
        x = torch.sin(x) * y
        y = torch.cos(y) + x
        return x + y * 2, y

    function.__code__ = function.__code__.replace(co_name=name)
    return function


FUNCTIONS = (
    "w state n training torch F Tensor Weights State print sum zip Größe forward __call__ μ _ _private self".split()
)


class OddFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.functions = [named_function(name) for name in FUNCTIONS]

    def forward(self, x):
        y = self.l(x)
        for function in self.functions:
            x, y = function(x, y)
            x = x.detach() + y
        return x, y


def test_names_of_functions(check):
    check(OddFunctions(), vectors, sizes=(3,))


class OddVariables(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("b", torch.ones(4))

    def forward(self, w):
        n = self.l(w)
        state = n * 2 + n
        training = state.sin() + state
        torch_ = training.cos() * training
        print = torch_ + torch_.exp().clamp(max=3)
        range = print * print - n
        zip = range / (range.abs() + 1)
        Tensor = zip + zip.mean(0)
        σ = Tensor * Tensor
        __x = σ + σ.sqrt()
        _ = __x + __x
        self_ = _ * _.mean()
        F = self_ - self_.sum(0)
        abs = F.abs() + F * state
        float = abs + F.view(n.shape[0], 4) * n
        self.b.add_(1)
        return float * self.b, training + float


def test_names_of_variables(check):
    check(OddVariables(), vectors)


class OddInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.register_buffer("b", torch.ones(4))

    def forward(self, w, state, n, training, torch, F, input, self_, type, lambda_, μ):
        total = self.l(w) + state * n - training * torch + F * input / (1 + self_**2)
        total = total * self.b[: total.shape[1]] + total.new_zeros(total.shape[0], 4)
        return total + type * lambda_ + μ


def test_names_of_inputs(check):
    check(OddInputs(), lambda n: tuple(torch.randn(n, 4) for _ in range(11)))


class Entries(nn.Module):
    """Methods with names that mean something to the package, called from one another."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def Weights(self, x):
        return torch.tanh(self.l(x)) * 2 + x

    def unpack(self, x):
        return self.Weights(x) * 2 + self.Weights(x * 2)

    def model(self, x):
        return self.unpack(x).mean() + self.unpack(x * 0.5).sum()

    def print(self, x):
        return self.Weights(x).sin() * 3 + 1

    def loss(self, x):
        return self.model(x) + self.print(x).sum()


def test_names_of_entry_points(check):
    check(Entries(), vectors, entries=("loss", "model", "unpack"), sizes=(3,))


@pytest.mark.parametrize(
    "name", ["Weights", "print", "class", "w", "torch", "my-entry", "1st", "State", "F", "größe", "n", ""]
)
def test_an_entry_point_cannot_have_any_name(refused, name):
    refused("HG211", Entries(), vectors, entries={name: lambda model, x: model.loss(x)})


def test_names_of_callables(check):
    check(
        Entries(), vectors, entries={"a": lambda model, x: model.loss(x), "b": lambda m, x: m.loss(x) * 2}, sizes=(3,)
    )


class Arguments(nn.Module):
    """Positional, keyword-only and collected arguments."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, *xs, scale=2.0, **more):
        total = self.l(xs[0])
        for x in xs[1:]:
            total = total + self.mix(x, total, scale=scale, names=xs, **more)
        return total

    def mix(self, a, b, /, *, scale, names, **more):
        return torch.where(a > 0, a * scale, b) + names[-1] * 0.5


def test_collected_arguments(check):
    check(Arguments(), lambda n: tuple(torch.randn(n, 4) for _ in range(3)))


class SameNames(nn.Module):
    """Names that are equal once they are identifiers."""

    def __init__(self):
        super().__init__()
        self.a_0 = nn.Linear(4, 4)
        self.a = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.add_module("a.0".replace(".", "-"), nn.Linear(4, 4))
        self.a_weight = nn.Parameter(torch.randn(4))
        self.conv = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.conv_linear0_weight = nn.Parameter(torch.randn(4))
        self.register_buffer("a_0_weight", torch.randn(4))
        self.register_buffer("A_0_WEIGHT", torch.randn(4))

    def forward(self, x):
        x = self.a_0(x) + self.a[0](x) + self.a[1](x) + self._modules["a-0"](x)
        x = self.conv(x) * self.conv_linear0_weight * self.a_weight
        return F.relu(x + self.a_0_weight - self.A_0_WEIGHT)


def test_names_that_become_equal(check):
    check(SameNames(), vectors, sizes=(3,))
