"""Metrics of quality on sets whose answer is known."""

from __future__ import annotations

import pytest
import torch

from hypergen_compiler.evidence.metrics import (
    covered,
    diversity,
    frechet,
    precision,
    recall,
    shares,
    total_variation,
)


def test_frechet_distance_of_gaussians_is_the_formula_of_their_moments():
    torch.manual_seed(0)
    a, b = torch.randn(200_000, 2), 3 * torch.randn(200_000, 2) + torch.tensor([1.0, 2.0])
    assert frechet(a, b) == pytest.approx(5 + 2 * (3 - 1) ** 2, rel=0.02)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_weights_count_like_repeated_items():
    torch.manual_seed(0)
    a, b = torch.randn(5000, 3), torch.randn(4000, 3) + 1
    counts = torch.randint(1, 4, (5000,))
    repeated = a.repeat_interleave(counts, 0)
    assert frechet(a, b, counts) == pytest.approx(frechet(repeated, b), rel=1e-3)
    assert recall(a, b[:200], counts) == pytest.approx(recall(repeated, b[:200]), abs=1e-6)


def test_precision_falls_with_what_is_invented_and_recall_with_what_is_missed():
    torch.manual_seed(0)
    near, far = torch.randn(300, 2), torch.randn(300, 2) + 50
    both = torch.cat([near, far])
    assert precision(near, both) == pytest.approx(0.5, abs=0.05) and recall(near, both) > 0.9
    assert precision(both, near) > 0.9 and recall(both, near) == pytest.approx(0.5, abs=0.05)


def test_a_repeated_item_covers_as_far_as_its_neighbours_are():
    support = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [2.0], [3.0]])
    assert covered(torch.tensor([[0.4], [9.0]]), support).tolist() == [True, False]


def test_diversity_is_the_mean_squared_distance_of_two_items():
    torch.manual_seed(0)
    x = torch.randn(50, 3)
    distances = torch.cdist(x, x).square().sum() / (50 * 49)
    assert diversity(x) == pytest.approx(distances.item(), rel=1e-4)


def test_shares_and_how_far_they_are_apart():
    found = shares(torch.tensor([0, 0, 2, 2]), 3)
    assert found.tolist() == [0.5, 0, 0.5]
    assert total_variation(found, torch.tensor([0.5, 0.5, 0])) == 0.5
