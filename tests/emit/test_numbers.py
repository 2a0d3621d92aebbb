"""Numbers, sizes and what names a dataset, as they are written."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from hypergen_compiler.capture.numbers import curves
from hypergen_compiler.emit.batches import (
    argument,
    batch_names,
    item_kind,
    shape_text,
    size_tuple,
    sized,
    source_kinds,
    token_bytes,
)
from hypergen_compiler.emit.numbers import extent_expression, number_expression, progression_expression
from hypergen_compiler.plan import FeatureEncoder, Plan
from hypergen_compiler.program import TERMS, Affine, Choice, Curve, Extent, Half, Input

NUMBERS = {
    "n": (Affine(1), 100),
    "2 * n": (Affine(2), 12),
    "n + 3": (Affine(1, 3), 11),
    "n // 2": (Half(), 12),
    "n - n // 2": (Half(other=True), 11),
    "n - 3": (Affine(1, -3), 11),
    "4 * n - 1": (Affine(4, -1), 11),
    "3 - 2 * n": (Affine(-2, 3), 11),
    "-n": (Affine(-1, 0), 13),
    "-2 * n": (Affine(-2, 0), 12),
    "-n - 1": (Affine(-1, -1), 11),
    "training": (Choice(True, False), 100),
    "not training": (Choice(False, True), 5),
    "0.1 if training else 0.0": (Choice(0.1, 0.0), 1),
    "True if training else None": (Choice(True, None), 1),
    "3": (3, 100),
    "math.sqrt(8)": (math.sqrt(8), 100),
    "-math.sqrt(8)": (-math.sqrt(8), 13),
    "8**-0.5": (8**-0.5, 14),
    "-math.log(2 * math.pi)": (-math.log(2 * math.pi), 12),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(text):
    value, precedence = NUMBERS[text]
    found = number_expression(value, "length")
    assert found.text == text or eval(found.text, {"math": math}) == eval(text, {"math": math})
    assert number_expression(value, "length").text.count("(") == text.count("(")
    assert found.precedence == precedence


CURVES = {
    "n / 10": Curve("n", 0.1),
    "-n / 10": Curve("n", -0.1),
    "0.3 * n": Curve("n", 0.3),
    "float(n)": Curve("n", 1.0),
    "math.sqrt(n)": Curve("math.sqrt(n)", 1.0),
    "-math.sqrt(n)": Curve("math.sqrt(n)", -1.0),
    "2.0 * math.log(n)": Curve("math.log(n)", 2.0),
    "math.log(60000 * n)": Curve("math.log(n)", 1.0, math.log(60_000)),
    "0.5 / n": Curve("n", 0.5, inverse=True),
    "-0.5 / n": Curve("n", -0.5, inverse=True),
    "n / 4 + 0.5": Curve("n", 0.25, 0.5),
    "n / 4 - 0.5": Curve("n", 0.25, -0.5),
    "0.5 - n / 4": Curve("n", -0.25, 0.5),
}


@pytest.mark.parametrize("text", CURVES)
def test_floats_that_follow_the_batch(text):
    found = number_expression(CURVES[text], "length")
    assert found.text == text
    for n in (2, 3, 60):
        assert eval(found.text, {"math": math, "n": n}) == pytest.approx(CURVES[text].at(n), rel=1e-12)


def test_a_logarithm_is_recognised_by_the_digits_that_a_curve_has():
    curve = next(curves([math.log(3 * n) for n in (11, 5, 14)], (11, 5, 14)))
    assert number_expression(curve, "length").text == "math.log(3 * n)"


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("offset", [0.0, 0.001, -3.0])
@pytest.mark.parametrize("scale", [1.0, -1.0, 0.125, -0.3, 7.0])
def test_curves_are_printed_as_they_run(term, scale, offset, inverse):
    curve = Curve(term, scale, offset, inverse)
    found = number_expression(curve, "length")
    for n in (5, 60):
        assert eval(found.text, {"math": math, "n": n}) == pytest.approx(curve.at(n), rel=1e-9)
        tight = f"2.0 * {found.text}" if found.precedence >= 12 else f"1.0 + {found.text}"
        wanted = 2.0 * curve.at(n) if found.precedence >= 12 else 1.0 + curve.at(n)
        assert eval(tight, {"math": math, "n": n}) == pytest.approx(wanted, rel=1e-9)


def extent(*terms):
    return Extent(tuple(((n, s), Fraction(*coefficient)) for n, s, coefficient in terms))


EXTENTS = {
    "side": (extent((0, 1, (1, 1))), 100),
    "side // 2": (extent((0, 1, (1, 2))), 12),
    "3 * side": (extent((0, 1, (3, 1))), 12),
    "3 * side // 2": (extent((0, 1, (3, 2))), 12),
    "n * side": (extent((1, 1, (1, 1))), 12),
    "n * side * side": (extent((1, 2, (1, 1))), 12),
    "side + 1": (extent((0, 1, (1, 1)), (0, 0, (1, 1))), 11),
    "side - 2": (extent((0, 1, (1, 1)), (0, 0, (-2, 1))), 11),
    "- side + 4": (extent((0, 1, (-1, 1)), (0, 0, (4, 1))), 11),
}


@pytest.mark.parametrize("text", EXTENTS)
def test_sizes_that_follow_a_free_one(text):
    value, precedence = EXTENTS[text]
    for found in (extent_expression(value, "side"), number_expression(value, "side")):
        assert (found.text, found.precedence) == (text, precedence)


@pytest.mark.parametrize(
    ("first", "step", "text", "precedence"),
    [
        (0, 1, "i", 100),
        (0, 2, "2 * i", 12),
        (3, 1, "i + 3", 11),
        (-3, 1, "i - 3", 11),
        (3, 2, "2 * i + 3", 11),
        (3, -1, "3 - i", 11),
        (3, -2, "3 - 2 * i", 11),
        (0.5, 0.25, "0.5 + 0.25 * i", 11),
        (0.5, -0.25, "0.5 - 0.25 * i", 11),
        (0.0, 0.25, "0.25 * i", 11),
        (0.0, -0.25, "- 0.25 * i", 11),
    ],
)
def test_progressions(first, step, text, precedence):
    found = progression_expression("i", first, step)
    assert (found.text, found.precedence) == (text, precedence)
    assert [eval(text, {"i": i}) for i in range(4)] == [first + step * i for i in range(4)]


def test_sizes_of_batches():
    found = [sized(size, "m") for size in (7, Affine(1), Affine(2), Affine(1, 2), Affine(3, -1))]
    assert found == ["7", "m", "2 * m", "m + 2", "3 * m - 1"]
    assert size_tuple((Affine(1),)) == "(n,)" and size_tuple((Affine(1), 3)) == "(n, 3)"
    assert shape_text((Affine(1), 3), "k") == "[k, 3]" and size_tuple((2,), "k") == "(2,)"
    assert argument(Input("n", None), "len(x)") == "len(x)"
    assert argument(Input("n", None, value=3), "m") == "3" and argument(Input("beta", None, value=0.5), "m") == "0.5"


def planned(*parts):
    return Plan("base", 1, tuple(FeatureEncoder(name, kind, shape, rows) for name, kind, shape, rows in parts), 1, 16)


def test_what_a_dataset_is_called():
    kinds = [("a", "image", (1, 4, 4), 16), ("b", "label", (), 3), ("c", "tokens", (5,), 9), ("d", "vector", (2,), 2)]
    assert item_kind(planned(kinds[0])) == "images"
    assert item_kind(planned(*kinds)) == "images with labels and token sequences and vectors"
    assert item_kind(planned(("a", "moments", (2,), 2))) == "numbers"
    assert batch_names(planned(("batch", "vector", (2,), 2), ("x", "vector", (2,), 2))) == ["batch_2", "x"]


@pytest.mark.parametrize(
    ("rows", "size", "text"), [(127, 1, ""), (128, 1, ".txt, "), (256, 1, ".txt, "), (257, 2, ""), (65_537, 4, "")]
)
def test_tokens_take_the_fewest_bytes(rows, size, text):
    tokens = planned(("t", "tokens", (5,), rows))
    assert token_bytes(tokens) == size
    assert source_kinds(tokens) == f".npz, .npy, .pt, .safetensors, {text}.bin or module:function"


@pytest.mark.parametrize("part", [("t", "tokens", (5, 2), 9), ("t", "label", (), 9), ("t", "vector", (5,), 9)])
def test_what_is_no_sequence_of_tokens_takes_none(part):
    assert token_bytes(planned(part)) is None
    assert source_kinds(planned(part)) == ".npz, .npy, .pt, .safetensors or module:function"


def test_pictures_come_from_folders_too():
    for channels in (1, 2, 3):
        found = source_kinds(planned(("x", "image", (channels, 4, 4), 16 * channels)))
        assert ("a folder of pictures" in found) == (channels != 2)


def test_dtypes_are_kept():
    assert number_expression(torch.float64, "length").text == "torch.float64"
