"""The experiment `bias` in miniature, and its page."""

from __future__ import annotations

import json

import pytest
import torch

from hypergen_compiler.evidence.bias import experiment as bias
from hypergen_compiler.evidence.bias.estimators import MODELS
from hypergen_compiler.evidence.bias.page import page, write

HISTOGRAM = tuple(1 / 60 for _ in bias.EDGES[1:])


@pytest.mark.parametrize(
    ("name", "estimator", "n", "expected"),
    [
        ("gaussian-variance", lambda x: x.var(1, correction=0), 5, 0.8),
        ("exponential-rate", lambda x: 1 / x.mean(1), 5, 1.25),
        ("uniform-bound", lambda x: x.amax(1), 5, 5 / 6),
    ],
)
def test_data_have_the_bias_of_maximum_likelihood(name, estimator, n, expected):
    torch.manual_seed(0)
    truth, numbers = MODELS[name].datasets(100_000, n, MODELS[name].largest)
    assert (estimator(numbers) / truth).mean().item() == pytest.approx(expected, abs=0.01)


def test_rows_are_written_and_judged(tmp_path):
    rows = [
        bias.Row("gaussian-variance", 5, "none", 0.0, 0.801, 0.002, 0.6, HISTOGRAM),
        bias.Row("gaussian-variance", 5, "unbiased", 10.0, 0.9, 0.002, 0.6, HISTOGRAM),
    ]
    write(tmp_path / "new", rows)
    assert [row["ratio"] for row in json.loads((tmp_path / "new" / "bias.json").read_text())] == [0.801, 0.9]
    assert (tmp_path / "new" / "bias.png").read_bytes().startswith(b"\x89PNG")
    lines = page(rows).splitlines()[-2:]
    assert lines[0].endswith("| 0.8 ± 0.01 | met |") and lines[1].endswith("| 1 ± 0.02 | missed |")


def test_a_trained_estimator_follows_its_data(monkeypatch):
    monkeypatch.setattr(bias, "QUICK_SEEDS", 2)
    row = bias.measured(bias.CELLS[-1], quick=True)
    assert (row.model, row.penalty) == ("uniform-bound", "lagrangian")
    assert 0.8 < row.ratio < 1.2 and row.relative_rmse < 0.3
    assert sum(row.histogram) == pytest.approx(1, abs=0.01)
