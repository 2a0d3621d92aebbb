"""Normalization layers, and weights that are normalized before use."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def images(n):
    return torch.randn(n, 4, 6, 6)


def vectors(n):
    return torch.randn(n, 4)


class Normalized(nn.Module):
    def __init__(self, norm, dims=2):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1) if dims == 2 else nn.Linear(4, 8)
        self.norm = norm

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(8),
        nn.BatchNorm2d(8, affine=False),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.InstanceNorm2d(8),
        nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
        nn.GroupNorm(2, 8),
        nn.LocalResponseNorm(3),
        nn.LayerNorm([8, 6, 6]),
    ],
    ids=repr,
)
def test_image_norms(check, norm):
    check(Normalized(norm), images)


def test_an_average_over_all_batches_is_refused(refused):
    refused("HG204", Normalized(nn.BatchNorm2d(8, momentum=None)), images, where="test_normalization.py")


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(8), nn.LayerNorm(8), nn.RMSNorm(8), nn.GroupNorm(4, 8)], ids=repr)
def test_vector_norms(check, norm):
    check(Normalized(norm, 1), vectors)


def test_sync_batch_norm_in_evaluation(check):
    model = Normalized(nn.SyncBatchNorm(8)).eval()
    check(model, images, modes=(False,))
