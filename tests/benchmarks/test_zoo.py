"""The page of the zoo, and its model without values."""

from __future__ import annotations

from benchmarks.zoo_large import plan_large
from benchmarks.zoo_page import page
from benchmarks.zoo_rows import Row


def test_a_model_is_planned_without_its_weights():
    large = plan_large(width=64, depth=2, heads=2)
    assert large.weights == 12 * 2 * 64**2 + 13 * 2 * 64 + (2 * 256 + 64 + 2) * 64
    assert large.head == "biases" and large.parameters > large.weights
    text = page([Row("one", 10, 20, 7, 0.5, "equal", "yes")], large)
    assert "136,960 weights in 29 tensors" in text and "1 of 1 entry points are equal, 1 of these" in text
