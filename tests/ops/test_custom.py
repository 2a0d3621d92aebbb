from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hypergen_compiler.errors import HyperGenError

from ..programs import captured, definition, emitted_model


class Round(torch.autograd.Function):
    """Rounds, with the gradient of the identity."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


FACTORS = [math.e]


class Doubles(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round() * FACTORS[0]

    @staticmethod
    def backward(ctx, gradient):
        return gradient * FACTORS[0]


class Model(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.linear = function, nn.Linear(4, 4)

    def forward(self, x):
        return self.function.apply(self.linear(x))


def test_an_autograd_function_is_one_call_and_its_class_is_copied():
    text = emitted_model(captured(Model(Round), torch.rand(3, 4)))
    assert "Round.apply(F.linear(x, w.linear_weight, w.linear_bias))" in definition(text, "forward")
    assert "class Round(torch.autograd.Function):" in text
    assert "gradient of the identity" in text


def test_a_class_that_needs_its_module_is_refused_where_it_is_used():
    with pytest.raises(HyperGenError) as caught:
        emitted_model(captured(Model(Doubles), torch.rand(3, 4)))
    assert caught.value.code == "HG401"
    assert "uses FACTORS" in caught.value.what
    assert caught.value.where.startswith("test_custom.py:")


def test_a_class_without_source_is_refused():
    made = type("Made", (torch.autograd.Function,), {name: vars(Round)[name] for name in ("forward", "backward")})
    with pytest.raises(HyperGenError) as caught:
        emitted_model(captured(Model(made), torch.rand(3, 4)))
    assert caught.value.code == "HG401"


def test_two_classes_of_one_name_are_refused():
    class Both(Model):
        def forward(self, x):
            return self.function.apply(self.linear(x)) + Round.apply(x)

    other = type("Round", (Doubles,), {})
    with pytest.raises(HyperGenError) as caught:
        emitted_model(captured(Both(other), torch.rand(3, 4)))
    assert caught.value.code == "HG401"
