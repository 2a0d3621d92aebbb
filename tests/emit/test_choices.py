"""Choices that emission takes at a number: just below it, and at it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.emit.hypernetwork import is_long
from hypergen_compiler.emit.objective import access, drawn, objective
from hypergen_compiler.emit.parameter_names import element_name, operation_parameter
from hypergen_compiler.emit.records import one_of
from hypergen_compiler.emit.train import settings, train, training
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.fold import Const, fold
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import FeatureEncoder, plan
from hypergen_compiler.program import Affine, Container, Entry

from ..programs import captured

N = Affine(1)


class Net(nn.Module):
    def __init__(self, turns):
        super().__init__()
        self.fc, self.turns = nn.Linear(4, 4), turns

    def loss(self, x):
        return self.fc(x).square().mean()

    def sample(self, n):
        x = self.fc(torch.randn(n, 4))
        for _ in range(self.turns - 2):
            x = x.sin()
        return x


def designed(turns=2):
    program = captured(Net(turns), lambda n: (torch.randn(n, 4),), (), loss="loss", sample="sample")
    layout = lay_out(program)
    return program, layout, plan(program, layout)


@pytest.mark.parametrize(("turns", "long"), [(300, False), (301, True)])
def test_a_long_sampler_is_used_seldom_and_without_a_gradient(turns, long):
    given = designed(turns)
    assert is_long(given[0].entry("sample")) == long
    assert f"penalty_every: int = {4 if long else 1}" in settings(*given)
    assert f"LOOKS = {4 if long else 10}  #" in training(*given)
    assert ("@torch.no_grad()" in objective(*given)) == long


@pytest.mark.parametrize(("parameters", "said"), [(2**23, False), (2**23 + 1, True)])
def test_memory_that_is_mapped_anew_is_told_of(parameters, said):
    program, layout, chosen = designed()
    text = train(program, layout, replace(chosen, parameters=parameters))
    assert ("MALLOC_MMAP_MAX_" in text) == said


def test_what_a_sampler_returns_is_reached():
    pair = Container("Out", ("first", "class"), (None, None))
    assert access(pair) == [".first", ".class_"]
    assert access({"a b": 1, 2: 2}) == ['["a b"]', "[2]"]
    assert access((1, 2)) == ["[0]", "[1]"] and access(torch.fx.Graph().placeholder("x")) == [""]


@pytest.mark.parametrize(
    ("shapes", "count"),
    [
        (((N, 4), (N,)), 2),
        (((N, 4), (N, 2)), 1),
        (((N, 4),), 1),
        (((N, 4), (N,), (N, 5)), 3),
        (((N, 4), (N,), (N, 6)), 2),
        (((N, 3), (N,)), 2),
    ],
)
def test_samples_that_look_like_data(shapes, count):
    entry = Entry("sample", "", (), torch.fx.Graph(), tuple(range(len(shapes))), shapes)
    parts = [("x", (4,)), ("y", ()), ("z", (5,))]
    encoder = tuple(FeatureEncoder(name, "vector", shape, 1) for name, shape in parts)
    chosen = replace(designed()[2], encoder=encoder)
    assert drawn(entry, chosen) == [f"[{i}]" for i in range(count)]


@pytest.mark.parametrize(
    ("plural", "one"),
    [("layers", "layer"), ("entries", "entry"), ("class", "class"), ("is", "is"), ("x", "x"), ("ups", "up")],
)
def test_the_singular_of_a_list(plural, one):
    assert one_of(plural) == one


@pytest.mark.parametrize(
    ("listed", "element"), [("blocks", "block"), ("stack", "stack_part"), ("h", "layer"), ("up", "layer")]
)
def test_an_element_of_a_list(listed, element):
    assert element_name(listed) == element


class Numbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        slope = 0.25
        x = F.leaky_relu(self.fc(x).clamp(-0.5, 0.75), slope)
        x = F.softplus(x, threshold=7.0) * slope + 0.5 * x
        return x.repeat(2, 3)[:, :4].reshape(-1, 4)


def test_numbers_are_called_as_the_user_or_torch_calls_them():
    program = captured(Numbers(), lambda n: (torch.randn(n, 4),))
    region = fold(program, all_records(program)).entries[0].function.model
    found = {
        item.node.meta["name"].rpartition(".")[2]: [
            operation_parameter(item, place) for place, leaf in enumerate(item.leaves) if isinstance(leaf, Const)
        ]
        for item in region.body
    }
    assert found == {
        "linear": [],
        "clamp": ["min", "max"],
        "leaky_relu": ["negative_slope"],
        "softplus": ["threshold"],
        "mul": ["value"],
        "add": [],
        "repeat": ["size", "size"],
        "__getitem__": ["key"],
        "reshape": ["size", "size"],
    }
