from __future__ import annotations

import ast
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hypergen_compiler.emit.literals import indexed_literal, literal, tensor_literal
from hypergen_compiler.emit.text import Code
from hypergen_compiler.errors import HyperGenError

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.just(...)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(one, other) -> bool:
    """Equal, of equal types, NaN equal to itself and 0.0 unlike -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return one == other


@given(VALUES)
def test_a_literal_evaluates_to_its_value(value):
    text = literal(value)
    assert isinstance(text, Code)
    assert text.isascii() and "\n" not in text
    assert same(eval(text, {}), value)


@given(st.text())
def test_text_is_one_string_and_nothing_else(value):
    assert isinstance(ast.parse(literal(value), mode="eval").body, ast.Constant)
    assert literal(value).startswith('"')


@given(st.text(), st.integers(0, 99), st.text())
def test_an_indexed_literal_is_the_name_of_one_index(before, index, after):
    assert eval(indexed_literal(before, "i", after), {"i": index}) == f"{before}{index}{after}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1,), "(1,)"),
        ((), "()"),
        (-0.0, "-0.0"),
        (1e-05, "1e-05"),
        (math.inf, 'float("inf")'),
        (-math.inf, 'float("-inf")'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        (torch.float16, "torch.float16"),
        (torch.strided, "torch.strided"),
        (torch.channels_last, "torch.channels_last"),
        (torch.device("cpu"), '"cpu"'),
        (slice(None, 3), "slice(None, 3, None)"),
        ({"a": [True, None]}, '{"a": [True, None]}'),
    ],
)
def test_literals(value, text):
    assert literal(value) == text


@pytest.mark.parametrize("value", [object(), torch.zeros(2), print, {1, 2}, b"bytes", [object()]])
def test_what_has_no_literal_is_refused(value):
    with pytest.raises(HyperGenError) as caught:
        literal(value)
    assert caught.value.code == "HG402"


TENSORS = [
    torch.zeros(3, 2),
    torch.ones(4, dtype=torch.int64),
    torch.full((2, 2), 2.5),
    torch.tensor([1.0, -2.0, 3.5]),
    torch.tensor([[1, 2], [3, 4]]),
    torch.tensor(7.0),
    torch.tensor(0),
    torch.tensor([True, False]),
    torch.tensor([True, True]),
    torch.zeros(0, 3),
    torch.tensor([0.1], dtype=torch.float64),
    torch.tensor([1.5, 2.0], dtype=torch.float16),
    torch.tensor([math.inf, math.nan]),
    torch.tensor([0.1, 1 / 3]),
    torch.arange(3, dtype=torch.int32),
]


@pytest.mark.parametrize("value", TENSORS, ids=str)
def test_a_tensors_literal_evaluates_to_it(value):
    made = eval(tensor_literal(value), {"torch": torch})
    assert made.dtype == value.dtype
    assert made.shape == value.shape
    assert torch.equal(torch.nan_to_num(made), torch.nan_to_num(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(3, 2), "torch.zeros((3, 2))"),
        (torch.ones(4, dtype=torch.int64), "torch.ones((4,), dtype=torch.int64)"),
        (torch.full((2,), 0.5), "torch.full((2,), 0.5)"),
        (torch.tensor([1, 2]), "torch.tensor([1, 2])"),
    ],
)
def test_uniform_tensors_are_short(value, text):
    assert tensor_literal(value) == text
