from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hypergen_compiler.examples import ConvVAE, CouplingFlow, SmallGPT

LARGEST = 60_000  # parameters: packages compiled from the examples are committed


def pictures(n: int) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(n))


def vectors(n: int) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(n))


def tokens(n: int) -> Tensor:
    return torch.randint(28, (n, 32), generator=torch.Generator().manual_seed(n))


EXAMPLES = [(ConvVAE, pictures), (CouplingFlow, vectors), (SmallGPT, tokens)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("kind", "data"), EXAMPLES)
def test_the_loss_is_a_scalar_that_reaches_every_parameter(kind: type[nn.Module], data):
    model = kind()
    loss = model.loss(data(16))
    assert loss.shape == ()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("kind", "data"), EXAMPLES)
def test_samples_have_the_shape_and_range_of_the_data(kind: type[nn.Module], data):
    model = kind().eval()
    with torch.no_grad():
        samples = model.sample(5)
    assert samples.shape == data(5).shape
    assert samples.dtype == data(5).dtype
    if kind is not CouplingFlow:
        assert samples.min() >= 0
        assert samples.max() <= data(5).max() + 1


@pytest.mark.parametrize(("kind", "data"), EXAMPLES)
def test_fits_its_data_better_after_a_few_steps(kind: type[nn.Module], data):
    model, batch = kind(), data(64)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("kind", [kind for kind, _ in EXAMPLES])
def test_is_small(kind: type[nn.Module]):
    assert sum(p.numel() for p in kind().parameters()) < LARGEST


@pytest.mark.parametrize("side", [2, 8, 28])
def test_the_vae_takes_pictures_of_any_even_side(side: int):
    model = ConvVAE(side=side)
    assert model.loss(torch.rand(3, 1, side, side)).shape == ()
    assert model.sample(2).shape == (2, 1, side, side)


def test_the_vae_refuses_other_sides():
    with pytest.raises(ValueError, match="even"):
        ConvVAE(side=9)


@pytest.mark.parametrize("features", [2, 5])
def test_the_flow_is_the_inverse_of_its_sampler_with_the_right_determinant(features: int):
    model = CouplingFlow(features).double()
    x = torch.randn(features, dtype=torch.float64)

    def forward(x: Tensor) -> Tensor:
        y = x.unsqueeze(0)
        for coupling in model.couplings:
            y, _ = coupling(y)
        return y.squeeze(0)

    y = forward(x).unsqueeze(0)
    for coupling in reversed(model.couplings):
        y = coupling.inverse(y)
    torch.testing.assert_close(y.squeeze(0), x)
    determinant = torch.linalg.slogdet(torch.autograd.functional.jacobian(forward, x)).logabsdet
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(forward(x)).sum()
    torch.testing.assert_close(model.log_prob(x.unsqueeze(0)).squeeze(0), normal + determinant)


def test_the_flow_needs_two_features():
    with pytest.raises(ValueError, match="at least 2"):
        CouplingFlow(1)


def test_the_gpt_predicts_each_token_from_those_before_it():
    model = SmallGPT().eval()
    original, changed = tokens(3), tokens(3)
    changed[:, 10] = (changed[:, 10] + 1) % 28
    before, after = model(original), model(changed)
    assert torch.equal(before[:, :11], after[:, :11])
    assert not torch.allclose(before[:, 11:], after[:, 11:])


def test_the_gpt_ties_its_head_to_its_embedding():
    model = SmallGPT()
    assert model.head.weight is model.token_embedding.weight
