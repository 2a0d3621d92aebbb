"""The rule by which results agree: close for their type, or no worse than the model's own error in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture import entry_points
from hypergen_compiler.verification.compare import compare_gradients, compare_outputs, compare_states
from hypergen_compiler.verification.observation import observe_model, preserved_buffers
from hypergen_compiler.verification.reference import observe_exactly

EXACT = torch.linspace(1, 2, 50, dtype=torch.float64)
NOISE = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.01
OWN, SIMILAR, WORSE = ((EXACT + NOISE * factor).float() for factor in (1, -1, 3))


def agree(actual, reference):
    before = {"b": OWN}
    return [
        compare_outputs(["tuple", None, [OWN]], ["tuple", None, [actual]], ["tuple", None, [reference]]).ok,
        compare_states({"b": OWN}, {"b": actual}, before, {"b": reference}).ok,
        compare_gradients({"b": OWN}, {"b": actual}, {"b": reference}).ok,
    ]


def test_far_results_agree_where_the_model_is_as_far_from_float64():
    assert agree(SIMILAR, EXACT) == [True] * 3
    assert agree(WORSE, EXACT) == [False] * 3


@pytest.mark.parametrize("reference", [None, EXACT[:3], EXACT * float("nan"), "text"])
def test_without_a_reference_only_what_is_close_agrees(reference):
    assert agree(SIMILAR, reference) == [False] * 3
    assert agree(OWN * (1 + 1e-6), reference) == [True] * 3


def test_a_model_that_does_something_else_in_float64_tells_nothing():
    assert agree(SIMILAR, -EXACT) == [False] * 3
    assert agree(-SIMILAR, -EXACT) == [False] * 3
    assert agree(SIMILAR, EXACT * 1.05) == agree(SIMILAR, EXACT) == [True] * 3


def test_what_rounding_left_of_larger_numbers_needs_to_be_no_nearer():
    left, other = (torch.full((50,), value) for value in (3e-4, -3e-4))
    found = compare_outputs(
        ["tuple", None, [left]], ["tuple", None, [other]], ["tuple", None, [torch.zeros(50).double()]]
    )
    assert found.ok


def test_what_is_not_a_number_is_no_better():
    broken = SIMILAR.clone()
    broken[0] = float("nan")
    assert agree(broken, EXACT)[0] is False


def test_an_exact_model_allows_nothing_but_rounding():
    exact = OWN.double()
    assert agree(OWN + 0.01, exact) == [False] * 3


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def loss(self, x):
        h = self.norm(self.fc(F.dropout(x, 0.3, self.training))) + torch.randn_like(x) * torch.rand(x.shape)
        h = h * torch.bernoulli(torch.full_like(h, 0.7)) + torch.empty_like(h).uniform_() + torch.randn(4)
        h = h + torch.normal(0.0, 1.0, x.shape) + torch.randint(0, 3, (4,)) + torch.empty(4).exponential_()
        return h.square().mean() + torch.zeros(4).sum()


@pytest.mark.parametrize("training", [True, False])
def test_the_model_in_float64_draws_the_same_random_numbers(training):
    torch.manual_seed(0)
    model = Random()
    (point,) = entry_points(model, lambda n: torch.randn(n, 4), sample=None)
    inputs = point.example(6)
    with preserved_buffers(model):
        single = observe_model(model, point, inputs, training, 3)
    double = observe_exactly(model, point, inputs, training, 3)
    assert double["output"].dtype == torch.float64 and single["output"].dtype == torch.float32
    torch.testing.assert_close(double["output"].float(), single["output"])
    for name, gradient in single["gradients"].items():
        torch.testing.assert_close(double["gradients"][name].float(), gradient, atol=1e-6, rtol=1e-4)
    assert torch.equal(single["generator"], double["generator"])
    assert torch.get_default_dtype() == torch.float32 and model.fc.weight.dtype == torch.float32


class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def loss(self, x):
        return self.fc(x.float()).mean()  # no float64 goes in


def test_a_model_that_takes_no_float64_has_no_reference():
    model = Single()
    (point,) = entry_points(model, lambda n: torch.randn(n, 4), sample=None)
    assert observe_exactly(model, point, point.example(3), True, 0) is None
