"""What the experiments measure, on data whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hypergen_compiler.evidence.fairness.readings import coverage, radii, read_shares
from hypergen_compiler.evidence.groups import Part
from hypergen_compiler.evidence.measures import deviation, mean_error, share_slope, slope


class ByBrightness(nn.Module):
    """Reads bright pictures as group 1, dark ones as group 0, and is unsure of grey ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        level = 20 * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-level, level], dim=1)


def grey(*levels: float) -> torch.Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()


def test_shares_count_pictures_and_confident_ones_apart():
    read = read_shares(ByBrightness(), grey(0.0, 0.1, 0.51, 1.0), 2)
    assert read.all.tolist() == [0.5, 0.5]
    assert read.confident.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert read.unsure == pytest.approx(0.25)


def test_a_group_without_a_drawn_picture_near_is_not_covered():
    part = Part(grey(*(0.01 * i for i in range(10)), *(0.9 + 0.01 * i for i in range(10))), torch.arange(20) // 10)
    real = radii(part, 2)
    assert coverage(real, part.images) == [1.0, 1.0]
    assert coverage(real, part.images[:10]) == [1.0, 0.0]
    assert 0 < coverage(real, grey(0.0, 0.9))[1] < 1


def test_the_knob_of_what_follows_halfway():
    requested = [0.1, 0.5, 0.9]
    assert slope(requested, [0.3, 0.5, 0.7]) == pytest.approx(0.5)
    assert mean_error(requested, [0.3, 0.5, 0.7]) == pytest.approx(0.4 / 3)
    mixtures = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    assert share_slope(mixtures, mixtures) == pytest.approx(1.0)
    assert share_slope(mixtures, torch.full((2, 3), 1 / 3)) == pytest.approx(0.0, abs=1e-6)
    assert share_slope(mixtures, 0.25 * mixtures + 0.25) == pytest.approx(0.25)


def test_a_standard_error_is_that_of_the_mean():
    assert deviation([1.0, 3.0]) == pytest.approx((2.0, 1.0))
    assert math.isnan(deviation([1.0]).error)


def test_rows_weigh_as_the_groups_are_asked_for():
    part = Part(torch.zeros(4, 1, 2, 2), torch.tensor([0, 0, 0, 1]))
    assert part.weights(torch.tensor([0.5, 0.5])).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 0.5])
