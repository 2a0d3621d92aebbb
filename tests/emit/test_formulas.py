from __future__ import annotations

import math

import pytest
import torch

from hypergen_compiler.emit.formulas import formula
from hypergen_compiler.emit.numbers import number_expression


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.sqrt(8), "math.sqrt(8)"),
        (1 / math.sqrt(12), "1 / math.sqrt(12)"),
        (1 / math.sqrt(2), "1 / math.sqrt(2)"),
        (8**-0.5, "8**-0.5"),
        (math.log(10000), "math.log(10000)"),
        (math.log(10000) / 7, "math.log(10000) / 7"),
        (0.5 * math.log(2 * math.pi), "0.5 * math.log(2 * math.pi)"),
        (math.sqrt(2 / math.pi), "math.sqrt(2 / math.pi)"),
        (1 - torch.finfo(torch.float32).eps, "1 - torch.finfo(torch.float32).eps"),
    ],
)
def test_a_formula_gives_every_bit(value: float, text: str):
    found = formula(value)
    assert found is not None and found.text == text
    assert eval(found.text, {"math": math, "torch": torch}) == value


@pytest.mark.parametrize("value", [0.5, 2.0, 0.1, 0.044715, 1e-05, 1.2345678901234567, math.inf, math.nan, 0.0, 1e300])
def test_other_numbers_have_none(value: float):
    assert formula(value) is None


@pytest.mark.parametrize("value", [math.sqrt(8), 8**-0.5, math.log(10000) / 7, 1 - torch.finfo(torch.float32).eps])
def test_a_negative_number_is_its_formula_negated(value: float):
    assert eval(number_expression(-value, "size").text, {"math": math, "torch": torch}) == -value
