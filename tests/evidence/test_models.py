"""The models of the experiments: a flow's density is that of what it draws, a diffusion model's steps lead to data."""

from __future__ import annotations

import math

import pytest
import torch

from hypergen_compiler.evidence.fairness.families import FAMILIES, initial
from hypergen_compiler.evidence.models import flow
from hypergen_compiler.evidence.models.diffusion import PicturesDiffusion
from hypergen_compiler.evidence.models.flow import ConditionalPicturesFlow, PicturesFlow


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """With weights that no symmetry of an initialization hides anything in."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape))
    return model


def test_a_flow_draws_what_it_reads_back(monkeypatch):
    monkeypatch.setattr(flow, "NOISE", 0.0)
    model = perturbed(ConditionalPicturesFlow(2, told=3))
    told = torch.eye(3)
    torch.manual_seed(1)
    pictures = model.drawn(told)
    torch.manual_seed(1)
    drawn = torch.randn(3, 4)
    logarithms = torch.stack([log_determinant(model, *pair) for pair in zip(pictures, told, strict=True)])
    expected = 0.5 * (drawn.square() + math.log(2 * math.pi)).sum(1) - logarithms
    torch.testing.assert_close(model.misfit(pictures, told), expected, rtol=1e-4, atol=1e-4)


def log_determinant(model: PicturesFlow, picture: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    """log |det| of how the noise that a picture [1, 2, 2] is drawn from changes with it."""

    def noise(x: torch.Tensor) -> torch.Tensor:
        z = (x.view(1, -1) - model.center) * torch.exp(-model.log_spread)
        for coupling in model.couplings:
            z, _ = coupling(z, told.unsqueeze(0))
        return z.squeeze(0)

    jacobian = torch.autograd.functional.jacobian(noise, picture)
    return torch.linalg.slogdet(jacobian.view(4, 4)).logabsdet


def test_diffusion_steps_lead_to_the_picture_that_the_network_points_at():
    model = PicturesDiffusion(3, hidden=4)
    picture = torch.rand(9)

    def velocity(x: torch.Tensor, time: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        clean = 2 * picture - 1
        noise = (x - torch.cos(time) * clean) / torch.sin(time)
        return torch.cos(time) * noise - torch.sin(time) * clean

    model.velocity = velocity
    assert model.loss(picture.view(1, 1, 3, 3).repeat(50, 1, 1, 1)).max() < 1e-4
    torch.testing.assert_close(model.sample(5), picture.view(1, 1, 3, 3).repeat(5, 1, 1, 1))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_every_family_has_a_loss_of_each_picture_and_draws_pictures_told_the_class_or_not(family):
    pictures, labels = torch.rand(6, 1, 4, 4), torch.arange(6) % 3
    plain, told = perturbed(initial(family, 4, 0)), perturbed(family.make_told(4, 3))
    assert plain.loss(pictures).shape == told.loss(pictures, labels).shape == (6,)
    assert plain.sample(7).shape == (7, 1, 4, 4)
    torch.manual_seed(2)
    zeros = told.sample_of(torch.zeros(5, dtype=torch.long))
    torch.manual_seed(2)
    ones = told.sample_of(torch.ones(5, dtype=torch.long))
    assert zeros.shape == (5, 1, 4, 4) and (zeros - ones).abs().amax((1, 2, 3)).min() > 1e-3
