"""Normalization layers, and weights that are normalized before use."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hypergen_compiler as hypergen
from hypergen_compiler.errors import HyperGenWarning


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


class Invertible(nn.Module):
    """A flow's batch norm (arXiv 1705.07057): its inverse is known in evaluation alone."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def loss(self, x):
        return 0.5 * self.norm(x).square().sum(1) - (self.norm.weight.log() - 0.5 * x.var(0).log()).sum()

    def sample(self, n):
        if self.training:
            raise RuntimeError("an inverse is only available in evaluation")
        z = torch.randn(n, 4)
        return (z - self.norm.bias) / self.norm.weight * self.norm.running_var.sqrt() + self.norm.running_mean


def test_a_sampler_that_runs_in_evaluation_alone(check):
    with pytest.warns(HyperGenWarning, match="sample runs in evaluation mode alone, .* same in both .*inverse"):
        emitted = check(Invertible(), vectors, loss="loss", entries=(), sizes=(3, 17))
        check(Invertible(), lambda n: (n,), entries=("sample",), modes=(False,))
    assert "training" not in emitted.text.partition("def sample")[2]


class Untrainable(Invertible):
    def loss(self, x):
        return (x - self.sample(len(x))).square().sum(1)


def test_a_loss_must_run_in_training(refused):
    refused("HG202", Untrainable(), vectors, loss="loss", entries=())


def test_a_package_is_compared_in_the_mode_that_the_model_runs_in(tmp_path):
    with pytest.warns(HyperGenWarning, match="evaluation mode alone"):
        package = hypergen.compile(Invertible(), torch.randn(16, 4), out=tmp_path / "invertible")
    assert package.verify().ok
