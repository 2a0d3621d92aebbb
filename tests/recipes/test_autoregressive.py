"""Autoregressive models: the shift, the likelihood, and what is drawn."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.recipes.autoregressive import Autoregressive, draw, keep_likeliest

from .networks import Causal


class Markov(nn.Module):
    """Tokens to the logits of a table: those of the next token follow from the last."""

    def __init__(self, vocabulary: int = 3):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocabulary, vocabulary, generator=torch.Generator().manual_seed(0)))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.table)


def test_the_loss_is_the_likelihood_of_the_whole_sequence():
    network, recipe = Markov(), Autoregressive(start=1)
    sequences = torch.tensor(list(itertools.product(range(3), repeat=4)))
    rows = network.table.log_softmax(1)
    expected = [sum(rows[a, b] for a, b in itertools.pairwise([1, *row])) for row in sequences.tolist()]
    likelihoods = torch.stack([-4 * recipe.loss(network, row[None]) for row in sequences])
    torch.testing.assert_close(likelihoods, torch.stack(expected))
    assert torch.isclose(likelihoods.exp().sum(), torch.tensor(1.0))  # a distribution over sequences


def test_samples_follow_the_likelihood():
    network, recipe = Markov(), Autoregressive(start=2, shape=(2,))
    samples = recipe.sample(network, 40_000)
    rows = network.table.softmax(1)
    expected = rows[2][:, None] * rows
    got = torch.bincount(3 * samples[:, 0] + samples[:, 1], minlength=9).view(3, 3) / len(samples)
    torch.testing.assert_close(got, expected, atol=0.01, rtol=0)


def test_a_temperature_flattens_or_sharpens():
    logits = torch.tensor([[0.0, 1.0]]).expand(40_000, 2)
    for temperature in (0.5, 1.0, 2.0):
        share = draw(logits, temperature).float().mean()
        torch.testing.assert_close(share, torch.sigmoid(torch.tensor(1 / temperature)), atol=0.01, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_draws_never_leave_the_likeliest(count):
    logits = torch.randn(500, 6)
    logits[:50] = 0.0  # ties
    kept = keep_likeliest(logits, count)
    assert (kept.isfinite().sum(1) == min(count, 6)).all()
    assert torch.equal(kept[kept.isfinite()], logits[kept.isfinite()])
    ranks = logits.argsort(1, descending=True).argsort(1)
    tokens = draw(logits, 1.0, count)
    assert (ranks[50:].gather(1, tokens[50:, None]) < count).all()


def test_the_likeliest_alone_is_greedy():
    network = Causal()
    recipe = Autoregressive(top_k=1, shape=(6,))
    tokens = recipe.sample(network, 4)
    read = F.pad(tokens[:, :-1], (1, 0), value=0)
    assert torch.equal(network(read).argmax(2), tokens)


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="not logits for each"):
        Autoregressive().loss(lambda tokens: tokens.float(), torch.zeros(2, 3, dtype=torch.long))


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"top_k": 0}], ids=str)
def test_refused_settings(settings):
    with pytest.raises(HyperGenError) as caught:
        Autoregressive(**settings)
    assert caught.value.code == "HG107"
