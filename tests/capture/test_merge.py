from __future__ import annotations

import math
from collections import namedtuple
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hypergen_compiler.capture.merge import merge_batches, merge_outputs, merge_sizes
from hypergen_compiler.capture.numbers import FORMS, Mismatch, fitted, follow
from hypergen_compiler.capture.tape import Call, Ref, Tape
from hypergen_compiler.emit.numbers import number_expression
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Affine, Curve, Extent

from ..programs import captured

SIZES = (11, 5, 7)
Pair = namedtuple("Pair", "count width")
INPUT = Ref("input", 0)


def tape(*rows: tuple, name: str = "Tensor.view") -> Tape:
    """A run that calls `name` with each row of arguments, the first at model.py:1."""
    calls = [
        Call(torch.Tensor.view, name, row, {}, grad=True, where=f"model.py:{line}") for line, row in enumerate(rows, 1)
    ]
    return Tape(calls)


def runs(*columns) -> list[Tape]:
    """Three runs of one call whose arguments are functions of the batch size."""
    return [tape((INPUT, *(column(n) for column in columns))) for n in SIZES]


def refused(tapes: list[Tape]) -> HyperGenError:
    with pytest.raises(HyperGenError) as caught:
        merge_batches(tapes, SIZES, "loss")
    return caught.value


@given(st.integers(-5, 5), st.integers(-50, 50))
def test_integers_on_a_line_follow_the_batch(slope, offset):
    found = follow([slope * n + offset for n in SIZES], SIZES)
    assert found == (Affine(slope, offset) if slope else offset)
    assert type(found) is (Affine if slope else int)


@given(st.floats(0.1, 1e6))
def test_floats_inversely_proportional_to_the_batch_follow_it(numerator):
    found = follow([numerator / n for n in SIZES], SIZES)
    assert isinstance(found, Curve)
    assert found.at(13) == pytest.approx(numerator / 13, rel=1e-9)


@pytest.mark.parametrize(
    ("column", "printed"),
    [
        (lambda n: n / 10, "n / 10"),
        (lambda n: -(n / 10), "-n / 10"),
        (lambda n: float(n), "float(n)"),
        (lambda n: 2.5 * n, "2.5 * n"),
        (lambda n: 1.0 / n, "1 / n"),
        (lambda n: 100 / n, "100 / n"),
        (lambda n: 0.3 / n, "0.3 / n"),
        (lambda n: 1 / (n - 1), "1 / (n - 1)"),
        (lambda n: 2 / (n * (n - 1)), "2 / (n * (n - 1))"),
        (lambda n: 1 / n**2, "1 / n**2"),
        (lambda n: (n - 1) / n, "1 - 1 / n"),
        (lambda n: 1 - n / 1000, "1 - n / 1000"),
        (lambda n: math.sqrt(n), "math.sqrt(n)"),
        (lambda n: n**-0.5, "1 / math.sqrt(n)"),
        (lambda n: math.log(n), "math.log(n)"),
        (lambda n: math.log(60000 * n), "math.log(60000 * n)"),
        (lambda n: -math.log(n), "-math.log(n)"),
        (lambda n: (50_000 - n + 1) / (50_000 * (n - 1)), "1 / (n - 1) - 2e-05"),
    ],
)
def test_floats_that_a_loss_computes_from_the_batch_size_follow_it(column, printed):
    found = follow([column(n) for n in SIZES], SIZES)
    assert [found.at(n) for n in (3, 17, 64)] == pytest.approx([column(n) for n in (3, 17, 64)], rel=1e-9)
    assert number_expression(found, "length").text == printed


@pytest.mark.parametrize("values", [(0.3, 0.7, 0.5), (float("inf"), 1.0, 2.0), (1.0, float("nan"), 2.0)])
def test_other_floats_are_a_mismatch(values):
    with pytest.raises(Mismatch):
        follow(values, SIZES)


@pytest.mark.parametrize("value", [3, 0.5, True, None, "mean", torch.float32, float("nan")])
def test_what_is_always_the_same_stays(value):
    assert follow([value] * 3, SIZES) is value


@pytest.mark.parametrize(
    "values",
    [(1331, 125, 343), (True, False, False), ("a", "b", "b"), (1, 1.0, 1), (1, None, 1), (11, 5, 8)],
)
def test_what_follows_no_rule_is_a_mismatch(values):
    with pytest.raises(Mismatch):
        follow(values, SIZES)


def test_numbers_are_found_wherever_they_stand():
    tapes = [tape((INPUT, (n, 2 * n + 1, 3), slice(None, n), {"size": [n, 4]})) for n in SIZES]
    (call,) = merge_batches(tapes, SIZES, "loss").calls
    assert call.args == (INPUT, (Affine(1), Affine(2, 1), 3), slice(None, Affine(1)), {"size": [Affine(1), 4]})


def test_named_tuples_stay_what_they_are():
    (call,) = merge_batches(runs(lambda n: Pair(n, 3)), SIZES, "loss").calls
    assert call.args[1] == Pair(Affine(1), 3)
    assert type(call.args[1]) is Pair


def test_shapes_follow_the_batch():
    tapes = runs(lambda n: n)
    for run, n in zip(tapes, SIZES, strict=True):
        run.shapes[INPUT] = (n, 3)
    assert merge_batches(tapes, SIZES, "loss").shapes[INPUT] == (Affine(1), 3)


@pytest.mark.parametrize(("column", "printed"), [(lambda n: n // 2, "n // 2"), (lambda n: n - n // 2, "n - n // 2")])
def test_halves_of_the_batch_follow_it(column, printed):
    found = follow([column(n) for n in (11, 5, 14)], (11, 5, 14))
    assert [found.at(n) for n in (1, 3, 16, 17)] == [column(n) for n in (1, 3, 16, 17)]
    assert number_expression(found, "length").text == printed


@pytest.mark.parametrize("column", [lambda n: n * n, lambda n: n * (n - 1) // 2])
def test_integers_that_count_pairs_of_items_follow_the_batch(column):
    found = follow([column(n) for n in SIZES], SIZES)
    assert [found.at(n, 1) for n in (1, 3, 17)] == [column(n) for n in (1, 3, 17)]


def test_an_integer_of_no_known_form_is_a_baked_batch_size():
    error = refused(runs(lambda n: 2, lambda n: n**3))
    assert error.code == "HG203"
    assert error.where == "model.py:1"
    assert "[1331, 125, 343]" in error.what


@pytest.mark.parametrize("column", [lambda n: math.sin(n), lambda n: n > 6, lambda n: "a" * n])
def test_another_value_that_changes_comes_from_the_data(column):
    error = refused(runs(column))
    assert error.code == "HG204"
    assert error.where == "model.py:1"


def test_other_tensors_in_other_runs_are_refused():
    assert refused([tape((Ref("input", number),)) for number in (0, 1, 1)]).code == "HG204"


def test_another_call_is_refused_where_it_is_made():
    tapes = [tape((INPUT,), (INPUT,)) for _ in SIZES]
    tapes[2].calls[1].name = "Tensor.exp"
    error = refused(tapes)
    assert error.code == "HG204"
    assert error.where == "model.py:2"
    assert "a batch of 7 than for 11" in error.what


@pytest.mark.parametrize("longer", [0, 1])
def test_more_or_fewer_calls_are_refused(longer):
    tapes = [tape((INPUT,)) for _ in SIZES]
    tapes[longer].calls += tape((INPUT,)).calls
    assert refused(tapes).code == "HG204"


def test_a_constant_that_changes_is_refused_where_it_was_met():
    tapes = runs(lambda n: 1)
    for run, n in zip(tapes, SIZES, strict=True):
        run.constants[Ref("constant", 0)] = torch.full((2,), float(n))
        run.constant_places[Ref("constant", 0)] = "model.py:9"
    error = refused(tapes)
    assert error.code == "HG204"
    assert error.where == "model.py:9"


def test_returned_numbers_follow_the_batch_or_are_refused():
    tapes = [Tape(out={"count": n, "x": INPUT}) for n in SIZES]
    assert merge_outputs(tapes, SIZES, "loss", None) == {"count": Affine(1), "x": INPUT}
    with pytest.raises(HyperGenError) as caught:
        merge_outputs([Tape(out=math.sin(n)) for n in SIZES], SIZES, "loss", "model.py:4")
    assert (caught.value.code, caught.value.where) == ("HG206", "model.py:4")


POINTS = ((11, 8), (11, 16), (5, 24), (7, 40))


@given(st.sampled_from(FORMS), st.data())
def test_a_form_is_found_from_its_values(form, data):
    coefficients = [data.draw(st.fractions(1, 5, max_denominator=4)) for _ in form]
    wanted = Extent(tuple(zip(form, coefficients, strict=True)))
    found = fitted(form, [wanted.at(n, s) for n, s in POINTS], POINTS)
    assert found is not None
    assert dict(found.terms) == dict(wanted.terms)
    assert found.usual == wanted.at(*POINTS[0])


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_misses_one_value_is_none(form):
    values = [sum(n**i * s**j for i, j in form) for n, s in POINTS]
    assert fitted(form, values, POINTS) is not None
    assert fitted(form, [*values[:-1], values[-1] + 1], POINTS) is None


def merged_over_sizes(column) -> tuple[bool, object]:
    """Whether the runs at other sizes fit, and what stands in the call then; `column` is a function of (n, s)."""
    usual = POINTS[0][1]
    merged = merge_batches([tape((INPUT, column(n, usual))) for n in SIZES], SIZES, "loss")
    fits = merge_sizes(merged, [tape((INPUT, column(n, s))) for n, s in POINTS[1:]], POINTS)
    return fits, merged.calls[0].args[1]


@pytest.mark.parametrize(
    ("column", "terms"),
    [
        (lambda n, s: s, {(0, 1): 1}),
        (lambda n, s: s - 1, {(0, 1): 1, (0, 0): -1}),
        (lambda n, s: s // 2, {(0, 1): Fraction(1, 2)}),
        (lambda n, s: n * s, {(1, 1): 1}),
        (lambda n, s: s * s, {(0, 2): 1}),
        (lambda n, s: n * s * s // 4, {(1, 2): Fraction(1, 4)}),
        (lambda n, s: n * s - n, {(1, 1): 1, (1, 0): -1}),
    ],
)
def test_integers_follow_the_second_size(column, terms):
    fits, found = merged_over_sizes(column)
    assert fits
    assert dict(found.terms) == terms
    assert found.at(3, 40) == column(3, 40)


@pytest.mark.parametrize("column", [lambda n, s: 4, lambda n, s: n + 1, lambda n, s: 2.5, lambda n, s: 3.0 / n])
def test_what_the_second_size_does_not_change_stays(column):
    fits, found = merged_over_sizes(column)
    assert fits
    assert not isinstance(found, Extent)


@pytest.mark.parametrize("column", [lambda n, s: s**3, lambda n, s: 1.0 / s, lambda n, s: str(s), lambda n, s: s > 9])
def test_another_dependence_fixes_the_size_and_changes_nothing(column):
    fits, found = merged_over_sizes(column)
    assert not fits
    assert found == column(*POINTS[0])


def test_other_calls_at_another_size_fix_it():
    merged = merge_batches([tape((INPUT, 8)) for _ in SIZES], SIZES, "loss")
    others = [tape((INPUT, s), (INPUT, s)) for _, s in POINTS[1:]]
    assert not merge_sizes(merged, others, POINTS)
    assert merged.calls[0].args == (INPUT, 8)


class Cubic(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * x.shape[1] ** 3 * x


def test_a_number_that_follows_the_size_in_no_known_form_fixes_it():
    (entry,) = captured(Cubic(), lambda n, length=8: torch.rand(n, length)).entries
    assert entry.free_size is None
