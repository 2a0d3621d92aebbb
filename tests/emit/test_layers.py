"""`layers.py` has what `model.py` calls, with the arguments that it passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hypergen_compiler.emit.layers import layers
from hypergen_compiler.program import Program

from ..programs import captured


@pytest.fixture(scope="module")
def program() -> Program:
    return captured(nn.Linear(4, 4), torch.rand(3, 4))


def text_of(program: Program, *calls: str) -> str:
    """With every run of blanks and line ends as one blank."""
    return " ".join(layers(program, "\n".join(calls)).split())


def test_options_are_those_that_calls_give(program):
    text = text_of(program, "layers.conv2d(x, w, b, stride=2)", "layers.conv2d(x, w, b, padding=(1, 2))")
    assert (
        "def conv2d( input: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, padding: Sizes = 0 ) -> Tensor"
        in text
    )
    assert "F.conv2d(input, weight, bias, stride=stride, padding=padding)" in text
    assert "dilation" not in text and "per_item" not in text


def test_a_padding_may_be_a_word_and_a_number_of_the_functions_own(program):
    text = text_of(program, 'layers.conv1d(x, w, b, padding="same", groups=groups)')
    assert "padding: Sizes | str = 0, groups: int = 1" in text


@pytest.mark.parametrize(
    ("arguments", "weight"),
    [
        ("w, b", "weight: Tensor, bias: Tensor"),
        ("w", "weight: Tensor | None = None"),
        ("None, b", "weight: Tensor | None"),
    ],
)
def test_only_norms_that_lack_a_gain_or_a_bias_ask_whether_there_is_one(program, arguments, weight):
    text = text_of(program, f"layers.batch_norm(x, mean, var, {arguments}, training=training, eps=0.001)")
    assert weight in text and "eps: float = 1e-5" in text and "momentum" not in text
    assert ("is None" in text) == ("is not None" in text) == (arguments != "w, b")
