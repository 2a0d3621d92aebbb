from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture.recorder import Recorder, qualified_name, run
from hypergen_compiler.capture.tape import Ref


class Model(nn.Module):
    """A forward that is the given function of (self, x)."""

    def __init__(self, function):
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.rand(4))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        return self.function(self, x)


def recorded(function, x=None):
    """The tape of one run."""
    model, x = Model(function), torch.rand(3, 4) if x is None else x
    recorder = Recorder(model, [x], scopes=True)
    run(recorder, lambda module, given: module(given), model, (x,))
    return recorder.tape


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (F.linear, "torch.nn.functional.linear"),
        (F.softmax, "torch.nn.functional.softmax"),
        (torch.exp, "torch.exp"),
        (torch.einsum, "torch.einsum"),
        (torch.Tensor.view, "Tensor.view"),
        (torch.Tensor.__getitem__, "Tensor.__getitem__"),
        (torch.Tensor.grad.__get__, "Tensor.grad.__get__"),
        (torch.Tensor.data.__set__, "Tensor.data.__set__"),
        (torch.linalg.norm, "torch.linalg.norm"),
        (torch.fft.fft, "torch.fft.fft"),
    ],
)
def test_functions_have_the_names_that_users_write(function, name):
    assert qualified_name(function) == name


def test_recorded_calls_are_not_profiled_and_what_runs_between_them_is():
    profiles = []

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            profiles.append(sys.getprofile())
            return x * 2

        @staticmethod
        def backward(context, gradient):
            return gradient

    def forward(self, x):
        y = Doubled.apply(x)
        profiles.append(sys.getprofile())
        return y

    recorded(forward)
    assert profiles[-2] is None and profiles[-1] is not None


def test_tensors_are_weights_buffers_inputs_constants_or_values():
    outside = torch.ones(4)
    tape = recorded(lambda self, x: x * self.weight + outside * self.count)
    assert [call.args for call in tape.calls] == [
        (Ref("input", 0), Ref("parameter", "weight")),
        (Ref("constant", 0), Ref("buffer", "count")),
        (tape.calls[0].out, tape.calls[1].out),
    ]
    assert torch.equal(tape.constants[Ref("constant", 0)], outside)


def test_descriptions_of_tensors_are_no_calls():
    def function(self, x):
        assert (
            x.shape[0] == len(x) == x.size(0) and x.dtype.is_floating_point and x.device.type == "cpu" and x.ndim == 2
        )
        return x.exp()

    assert [call.name for call in recorded(function).calls] == ["Tensor.exp"]


def test_a_numpy_number_is_a_number():
    tape = recorded(lambda self, x: x * np.float64(0.5) + np.int64(2))
    assert [type(call.args[1]) for call in tape.calls] == [float, int]


def test_writes_are_measured():
    def function(self, x):
        h = x.exp()
        h.view(-1).mul_(2)
        self.count.add_(1)
        return h

    tape = recorded(function)
    value, buffer = (tape.storages[ref] for ref in (tape.calls[0].out, Ref("buffer", "count")))
    assert [call.writes for call in tape.calls] == [frozenset(), frozenset(), {value}, {buffer}]


def test_random_draws_are_measured():
    def function(self, x):
        return F.dropout(torch.rand(3, 4) * x, 0.5, True) + F.dropout(x, 0.5, False)

    assert [call.random for call in recorded(function).calls if not call.name.endswith((".mul", ".add"))] == [
        True,
        True,
        False,
    ]


def test_each_call_knows_whether_it_has_a_gradient():
    def function(self, x):
        with torch.no_grad():
            y = x * self.weight
        return y + x * self.weight

    assert [call.grad for call in recorded(function).calls] == [False, True, True]


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda self, x: x * self.weight.max().item(), {"parameter"}),
        (lambda self, x: x * float(x.sum()), {"input"}),
        (lambda self, x: x if (self.count + self.weight.sum()) > 5 else -x, {"buffer", "parameter"}),
        (lambda self, x: x * torch.ones_like(x).sum().tolist(), set()),
    ],
    ids=["item", "float", "bool", "a shape's"],
)
def test_values_that_leave_the_graph_are_remembered_with_what_they_come_from(function, kinds):
    escapes = recorded(function).escapes
    assert set().union(*(escape.sources for escape in escapes)) == kinds
    assert all(escape.where.startswith("test_recorder.py:") for escape in escapes)


def helper(x):
    y = x.exp()
    return y.tanh()


def test_scopes_are_the_users_functions_with_their_arguments_and_results():
    tape = recorded(lambda self, x: helper(x) * self.weight)
    scope = tape.calls[0].scope
    assert (scope.function, scope.path, scope.owner) == ("helper", None, None)
    assert scope.arguments == {Ref("input", 0): "x"}
    assert scope.returned == [tape.calls[1].out]
    assert (scope.parent.function, scope.parent.path, scope.parent.owner) == ("forward", "", "Model")
    assert tape.calls[2].scope is scope.parent


def test_the_layer_of_a_call_is_torchs_own_module():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    recorder = Recorder(model, [], scopes=True)
    run(recorder, lambda module, x: module(x), model, (torch.rand(3, 4),))
    assert [call.layer for call in recorder.tape.calls] == ["0", "1"]


def test_an_autograd_function_is_one_call():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.exp().tanh()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    original = torch.autograd.Function.__dict__["apply"]
    tape = recorded(lambda self, x: Twice.apply(x * self.weight))
    assert [call.name for call in tape.calls][1:] == ["tests.capture.test_recorder.Twice"]
    assert tape.calls[1].function.autograd_function is Twice
    assert torch.autograd.Function.__dict__["apply"] is original


class Thrice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 3

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3


class WrittenInC:
    """A class method as torch 2.14 has `autograd.Function.apply`: it can be bound, but has no function of Python."""

    def __init__(self, method):
        self.method = method

    def __get__(self, instance, owner):
        return self.method.__get__(instance, owner)


def test_an_autograd_function_whose_apply_is_written_in_c(monkeypatch):
    monkeypatch.setattr(torch.autograd.Function, "apply", WrittenInC(torch.autograd.Function.__dict__["apply"]))
    tape = recorded(lambda self, x: Thrice.apply(x * self.weight))
    assert [call.name for call in tape.calls][1:] == ["tests.capture.test_recorder.Thrice"]
