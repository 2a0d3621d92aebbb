"""What cannot be compiled: one coded error each, with the line that is at fault."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn


def vectors(n):
    return torch.randn(n, 4)


class Linear(nn.Module):
    """A layer, and what the subclass makes of its result."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        return self.use(self.l(x), x)

    def loss(self, x):
        return self(x)


class ItemOfWeights(Linear):
    def use(self, h, x):
        return h * self.l.weight.norm().item()


class FloatOfWeights(Linear):
    def use(self, h, x):
        return h / float(self.l.weight.abs().max())


class BranchOnWeights(Linear):
    def use(self, h, x):
        if self.l.bias.sum() > 0:
            return h * 2
        return h


class BranchOnResult(Linear):
    """Mends numbers that are not finite; a decision, even beside an error that another one raises."""

    def use(self, h, x):
        if torch.isnan(h).any():
            h = torch.nan_to_num(h)
        elif h.shape[1] != 4:
            raise ValueError("four are wanted")
        return h


class BranchOnWrittenWeights(Linear):
    """The weight reaches the decision through a write."""

    def use(self, h, x):
        norms = torch.zeros(4)
        norms[1:3].copy_(self.l.weight.detach().norm(dim=1)[:2])
        return h * 2 if norms.max() > 0.5 else h


class ListOfWeights(Linear):
    def use(self, h, x):
        return h * sum(self.l.bias.tolist())


class NumpyOfWeights(Linear):
    def use(self, h, x):
        return h * torch.from_numpy(np.abs(self.l.weight.detach().numpy())).sum(0)


class EqualWeights(Linear):
    def use(self, h, x):
        return h if torch.equal(self.l.bias, torch.zeros(4)) else h * 2


class IndexOfWeights(Linear):
    """A weight's largest row as a Python index."""

    def use(self, h, x):
        return h * self.l.weight[int(self.l.bias.argmax())]


class OnlyInEvaluation(Linear):
    def use(self, h, x):
        if not self.training and self.l.bias.sum() > 0:
            return h * 2
        return h + x


@pytest.mark.parametrize(
    "model",
    [
        ItemOfWeights,
        FloatOfWeights,
        BranchOnWeights,
        BranchOnResult,
        BranchOnWrittenWeights,
        ListOfWeights,
        NumpyOfWeights,
        EqualWeights,
        IndexOfWeights,
        OnlyInEvaluation,
    ],
)
def test_decisions_from_weights(refused, model):
    refused("HG205", model(), vectors, where="test_refusals.py")


class ItemOfData(Linear):
    def use(self, h, x):
        return h * x.sum().item()


class BranchOnData(Linear):
    """Which way the example goes depends on the batch."""

    def use(self, h, x):
        if x.shape[0] % 3 == x.abs().sum().long() % 3:
            h = h * 2
        return h.sin() if x.sum() > x.shape[0] - 9 else h.cos()


class Masked(Linear):
    """As many rows as the data has."""

    def use(self, h, x):
        return h[x[:, 0] > 0].sum(0) * h


class Nonzero(Linear):
    def use(self, h, x):
        return h[torch.nonzero(x[:, 0] > 0).squeeze(1)].repeat(2, 1)[:2]


class Unique(Linear):
    def use(self, h, x):
        return h[:, : len(torch.unique(x.long()))] * 2


class Rounds(Linear):
    """As many steps as the data wants."""

    def use(self, h, x):
        for _ in range(int(x.abs().sum().item())):
            h = torch.tanh(h)
        return h


class NumpyOfData(Linear):
    def use(self, h, x):
        order = np.argsort(x.detach().numpy()[:, 0]).copy()
        return h[torch.from_numpy(order)]


class Loop(Linear):
    """A step per item of the batch."""

    def use(self, h, x):
        return torch.stack([row * 2 for row in h])


class Cubic(Linear):
    def use(self, h, x):
        return F.pad(h, (0, x.shape[0] ** 3)).sum() + h


@pytest.mark.parametrize("model", [ItemOfData, BranchOnData, Rounds, NumpyOfData, Loop])
def test_what_follows_the_data(refused, model):
    refused("HG204", model(), vectors, where="test_refusals.py")


@pytest.mark.parametrize("model", [Unique, Cubic])
def test_sizes_that_follow_no_line(refused, model):
    refused("HG203", model(), vectors, where="test_refusals.py")


@pytest.mark.parametrize("model", [Masked, Nonzero])
@pytest.mark.filterwarnings("ignore::hypergen_compiler.errors.HyperGenWarning")
def test_data_dependent_shapes_inside(check, model):
    check(model(), vectors, exact=False)


class Baked(Linear):
    def use(self, h, x):
        return h.view(11, 2, 2)


class BakedPower(Linear):
    def use(self, h, x):
        return torch.zeros(2 ** x.shape[0], 4).sum(0) + h


@pytest.mark.parametrize("model", [Baked, BakedPower])
def test_a_batch_size_that_is_baked_in(refused, model):
    example = lambda n: torch.randn(n, 4)  # noqa: E731
    error = refused("HG203", model(), example, where="test_refusals.py")
    assert "batch" in error.what


class Fails(Linear):
    def use(self, h, x):
        return h @ torch.zeros(5, 4)


class Raises(Linear):
    def use(self, h, x):
        raise KeyError("mine")


class OnlyInTraining(Linear):
    def use(self, h, x):
        if not self.training:
            raise NotImplementedError
        return h


@pytest.mark.parametrize("model", [Fails, Raises, OnlyInTraining])
def test_an_entry_point_that_fails(refused, model):
    refused("HG202", model(), vectors, where="test_refusals.py")


def test_an_example_of_another_shape(refused):
    error = refused("HG202", ItemOfData(), lambda n: torch.randn(n, 5), where="test_refusals.py")
    assert "shapes cannot be multiplied" in error.what


def test_too_many_inputs(refused):
    refused("HG202", Fails(), lambda n: (torch.randn(n, 4), torch.randn(n, 4)))


def test_a_missing_method(refused):
    error = refused("HG201", Fails(), vectors, entries=("log_prob",), where="test_refusals.py")
    assert "loss" in error.remedy


class Image(Linear):
    def use(self, h, x):
        return h


class Integers(Linear):
    def use(self, h, x):
        return h.argmax(1)


class Several(Linear):
    def use(self, h, x):
        return h.mean(), h.sum()


class Number(Linear):
    def use(self, h, x):
        return 3.0


class Nothing(Linear):
    def use(self, h, x):
        return None


@pytest.mark.parametrize("model", [Image, Integers, Several, Number, Nothing])
def test_what_is_no_loss(refused, model):
    refused("HG207", model(), vectors, loss="loss", entries=(), where="test_refusals.py")


class NoGradient(Linear):
    @torch.no_grad()
    def use(self, h, x):
        return h.mean()


class Detached(Linear):
    def use(self, h, x):
        return h.detach().mean()


class ThroughNumpy(Linear):
    def use(self, h, x):
        return (h > 0).float().mean()


@pytest.mark.parametrize("model", [Detached, ThroughNumpy])
def test_a_loss_without_gradient(refused, model):
    refused("HG208", model(), vectors, loss="loss", entries=(), where="test_refusals.py")


def test_a_loss_under_no_grad(refused):
    model = NoGradient()
    refused("HG208", model, vectors, loss=torch.no_grad()(lambda m, x: m.l(x).mean()), entries=())


class OtherShape(Linear):
    def use(self, h, x):
        return h.pow(2).mean()

    def sample(self, n):
        return self.l(torch.randn(n, 4))[:, :2]


@pytest.mark.parametrize("sample", ["sample", lambda model, n: {"x": None}, lambda model, n: model.l.weight])
def test_samples_of_another_shape(refused, sample):
    refused("HG210", OtherShape(), vectors, loss="loss", sample=sample, entries=(), where="test_refusals.py")


TABLE = {"factor": 2}


class NeedsItsModule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * TABLE["factor"]

    @staticmethod
    def backward(ctx, g):
        return g * 3


class Custom(Linear):
    def use(self, h, x):
        return NeedsItsModule.apply(h)


def test_an_autograd_function_that_needs_its_module(refused):
    refused("HG401", Custom(), vectors, where="test_refusals.py")


class Private(Linear):
    def use(self, h, x):
        return torch._softmax(h, 1, False)


class Hidden(Linear):
    def use(self, h, x):
        return torch.ops.aten.mul(h, 2)


@pytest.mark.parametrize("model", [Private, Hidden])
def test_an_operator_that_cannot_be_printed(refused, model):
    refused("HG401", model(), vectors, where="test_refusals.py")


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4).double()

    def forward(self, x):
        return self.b(self.a(x).double())


def test_parameters_of_several_types(refused):
    refused("HG301", Mixed(), vectors)


class Parameterless(nn.Module):
    def forward(self, x):
        return x * 2


class Frozen(Linear):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)

    def use(self, h, x):
        return h


@pytest.mark.parametrize("model", [Parameterless, Frozen])
def test_nothing_to_emit(refused, model):
    refused("HG302", model(), vectors)


class SetParameter(Linear):
    """A parameter replaced by another while running."""

    def use(self, h, x):
        self.l.weight = nn.Parameter(self.l.weight.detach() * 0.5)
        return h + self.l(x)


class ParameterInPlace(Linear):
    """A parameter written into through a part of it, which for weights of a hypernetwork is an error of torch's."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4), requires_grad=False)

    def use(self, h, x):
        first, _ = self.scale.chunk(2)
        first.div_(2)
        return h * self.scale


class OtherSize(Linear):
    """A buffer that grows."""

    def __init__(self):
        super().__init__()
        self.register_buffer("memory", torch.zeros(1, 4))

    def use(self, h, x):
        self.memory = torch.cat([self.memory, x.detach().mean(0, keepdim=True)])
        return h + self.memory.sum(0)


class StaleAttribute(Linear):
    """A plain tensor attribute, moved by every call."""

    def __init__(self):
        super().__init__()
        self.ema = torch.zeros(4)

    def use(self, h, x):
        self.ema.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return h - self.ema


class ReplacedAttribute(StaleAttribute):
    def use(self, h, x):
        self.ema = self.ema * 0.9 + h.detach().mean(0)
        return h - self.ema


@pytest.mark.parametrize("model", [SetParameter, ParameterInPlace, OtherSize, StaleAttribute, ReplacedAttribute])
def test_state_that_has_no_place(refused, model):
    error = refused("HG204", model(), vectors)
    assert "register_buffer" in error.remedy or "buffer" in error.what or "parameter" in error.what


class Wrapped(Linear):
    """torch.nn.Parameter is no recorded call: what it makes looks like a constant."""

    def use(self, h, x):
        return h * nn.Parameter(h.detach()).exp()


def test_aliases_made_outside_of_recorded_calls(refused):
    refused("HG204", Wrapped(), vectors, where="test_refusals.py")


class ArrayInPlace(Linear):
    """A constant made anew on every call, and written."""

    def use(self, h, x):
        scale = torch.from_numpy(np.arange(12, dtype=np.float32).reshape(3, 4))
        scale.mul_(0.5)
        noise = torch.FloatTensor([1, 2, 3, 4])
        noise[1] += 2
        return h * scale.sum(0) * noise


class Helped(Linear):
    """A plain tensor handed to a function that uses it late, and one that is not used."""

    def __init__(self):
        super().__init__()
        self.mask, self.unused = torch.tril(torch.ones(4, 4)), torch.zeros(3)

    def helper(self, x, mask, unused):
        x = torch.tanh(x) * 2
        x = x - x.mean(0)
        return (x @ mask).sin()

    def use(self, h, x):
        return self.helper(h, self.mask, self.unused) + self.helper(x, self.mask, self.unused)


@pytest.mark.parametrize("model", [ArrayInPlace, Helped])
def test_constants(check, model):
    emitted = check(model(), vectors)
    weights = emitted.weights.unpack(emitted.weights.initial_weights())
    first, second = (emitted.model.forward(weights, emitted.weights.State(), torch.ones(2, 4)) for _ in range(2))
    assert torch.equal(first, second)


class Allowed(Linear):
    def use(self, h, x):
        if self.l.bias.sum() > 100:
            return h
        return F.relu(h) * round(self.l.weight.abs().sum().item() * 0) + F.gelu(h)


@pytest.mark.filterwarnings("ignore:.*takes a decision from the weights")
def test_frozen_decisions_are_kept_and_listed():
    from hypergen_compiler.capture import capture, entry_points

    model = Allowed()
    points = entry_points(model, vectors, loss=None, sample=None, entries=("forward",))
    program = capture(model, points, name="x", source="tests", allow_frozen=True)
    assert len(program.frozen) == 2 and all("test_refusals.py:" in sentence for sentence in program.frozen)
