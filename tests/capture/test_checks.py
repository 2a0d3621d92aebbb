from __future__ import annotations

import inspect
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.errors import HyperGenWarning

from ..programs import captured, refusal


class Module(nn.Module):
    """A module whose forward and loss are the given function of (self, x)."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.linear = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        return self.function(self, x)

    loss = forward


def line_of(function, marker: str) -> str:
    """`file:line` of the line of a function that holds a comment."""
    lines, first = inspect.getsourcelines(function)
    return f"test_checks.py:{first + next(k for k, line in enumerate(lines) if marker in line)}"


def example(n):
    """Batches whose sums and largest values differ from size to size."""
    return n + torch.rand(n, 4, generator=torch.Generator().manual_seed(n))


def wrong_shape(self, x):
    return self.linear(x.T)  # here


def fixed_batch(self, x):
    return self.linear(x).view(11, 2, 2)  # here


def cube_of_the_batch(self, x):
    return self.linear(x).sum() * len(x) ** 3  # here


def branch_on_data(self, x):
    if x.sum() > 150:
        return self.linear(x)  # here
    return self.linear(x).exp()


def number_from_data(self, x):
    return self.linear(x) * x.max().item()  # here


def loop_over_the_batch(self, x):
    return torch.stack([self.linear(row) for row in x])  # here


def decision_from_weights(self, x):
    if self.linear.weight.sum() > 0:  # here
        return self.linear(x)
    return self.linear(x).exp()


def decision_from_changing_state(self, x):
    self.count.add_(1)
    return self.linear(x) * (1.0 if self.count > 5 else 2.0)  # here


def from_numpy(self, x):
    return torch.from_numpy(self.linear(x).detach().numpy())


def an_object(self, x):
    return torch.distributions.Normal(self.linear(x), 1.0)


@pytest.mark.parametrize(
    ("code", "function", "marked"),
    [
        ("HG202", wrong_shape, True),
        ("HG203", fixed_batch, True),
        ("HG203", cube_of_the_batch, True),
        ("HG204", branch_on_data, True),
        ("HG204", number_from_data, True),
        ("HG204", loop_over_the_batch, True),
        ("HG204", decision_from_changing_state, True),
        ("HG205", decision_from_weights, True),
        ("HG206", from_numpy, False),
        ("HG206", an_object, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_cannot_be_recorded_is_refused_at_its_line(code, function, marked):
    error = refusal(code, Module(function), example)
    if marked:
        assert error.where == line_of(function, "# here")
    else:
        assert error.where.startswith("test_checks.py:")


def test_a_loss_may_be_a_tensor_of_one_element():
    module = Module(lambda self, x: self.linear(x).mean() + torch.tensor([2.0]))
    assert captured(module, example, (), loss="loss").entry("loss").shapes == ((1,),)


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: self.linear(x),
        lambda self, x: (self.linear(x).mean(), x),
        lambda self, x: self.linear(x).sum(0),
        lambda self, x: self.linear(x).mean().long(),
        lambda self, x: {"loss": self.linear(x).mean()},
    ],
    ids=["matrix", "tuple", "one per feature", "integer", "dict"],
)
def test_a_loss_is_a_number_or_one_per_item(function):
    error = refusal("HG207", Module(function), example, (), loss="loss")
    assert error.where.startswith("test_checks.py:")


@pytest.mark.parametrize("function", [lambda self, x: self.linear(x).mean(), lambda self, x: self.linear(x).sum(1)])
def test_a_mean_and_a_loss_per_item_are_losses(function):
    assert captured(Module(function), example, (), loss="loss").loss == "loss"


def without_gradient(self, x):
    with torch.no_grad():
        return self.linear(x).mean()


@pytest.mark.parametrize("function", [without_gradient, lambda self, x: self.linear(x).detach().mean()])
def test_a_loss_without_gradient_is_refused(function):
    refusal("HG208", Module(function), example, (), loss="loss")


@pytest.mark.parametrize("shape", [(3,), (4, 1), ()])
def test_samples_have_the_shape_of_the_data(shape):
    def sample(model, n):
        return model.linear(torch.randn(n, 4)).new_zeros(n, *shape) if shape else model.linear(torch.zeros(4)).sum()

    model = Module(lambda self, x: self.linear(x).mean())
    error = refusal("HG210", model, example, (), loss="loss", sample=sample)
    assert "[n, 4]" in error.what


def test_samples_of_the_datas_shape_pass():
    model = Module(lambda self, x: self.linear(x).mean())
    program = captured(model, example, (), loss="loss", sample=lambda m, n: m.linear(torch.randn(n, 4)))
    assert program.sample == "sample"


def test_a_decision_from_weights_may_be_kept_and_is_listed():
    model = Module(decision_from_weights)
    torch.nn.init.ones_(model.linear.weight)
    program = captured(model, example, allow_frozen=True)
    (sentence,) = program.frozen
    assert "the weights" in sentence
    assert line_of(decision_from_weights, "# here") in sentence
    assert [node.meta["name"] for node in program.entries[0].graph.find_nodes(op="call_function", target=F.linear)]


def decision_from_data(self, x):
    if x.shape[0] > 2 and bool((x < 100).all()):
        return self.linear(x)
    return self.linear(x).exp()


def test_a_decision_from_data_that_all_runs_agree_on_is_a_warning():
    model = Module(decision_from_data)
    points = entry_points(model, example, loss=None, sample=None, entries="forward")
    with pytest.warns(HyperGenWarning, match="a decision from the data at test_checks.py"):
        capture(model, points, name="package", source="")


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: self.linear(x) * (2.0 if x.shape[0] > 1 else 1.0),
        lambda self, x: self.linear(x) * torch.ones(3).sum().item(),
        lambda self, x: self.linear(x) * torch.zeros_like(x).sum().item() + len(x),
    ],
    ids=["a shape", "a constant", "a tensor made for its shape"],
)
def test_decisions_from_shapes_and_constants_are_nobodys_business(function, recwarn):
    assert captured(Module(function), example).frozen == ()


def test_a_model_without_a_read_parameter_is_a_warning():
    model = Module(lambda self, x: x @ self.linear.weight)
    points = entry_points(model, example, loss=None, sample=None, entries="forward")
    with pytest.warns(HyperGenWarning, match="no entry point reads linear.bias"):
        program = capture(model, points, name="package", source="")
    assert [(p.name, p.read, p.trained) for p in program.parameters] == [
        ("linear.weight", True, True),
        ("linear.bias", False, False),
    ]


def test_capture_leaves_the_model_and_the_generators_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    captured(model, example)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (np.random.get_state()[1].tobytes(), random.getstate())
