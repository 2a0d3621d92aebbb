"""The penalty over chains of self-consumed datasets: they go on, begin anew, and are kept in checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import hypergen_compiler as hypergen

from .cases import importable, module
from .packages import Quiet, Statistics

PACKAGES = {"together": (Quiet, "biases"), "apart": (Quiet, "low-rank"), "noisy": (Statistics, "biases")}


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory):
    with importable(tmp_path_factory.mktemp("packages")) as folder:
        for name, (make, head) in PACKAGES.items():
            torch.manual_seed(0)
            hypergen.compile(make(), torch.randn(8, 5), out=folder / name, head=head, penalty="chains")
        yield


def trainer(name: str, out=None, restart: float = 0.5, monkeypatch=None, **settings):
    """A run whose head has joined and whose penalty is on."""
    data = module(name, "data").Data((torch.randn(64, 5, generator=torch.Generator().manual_seed(0)),))
    if monkeypatch:
        monkeypatch.setattr(module(name, "chains"), "RESTART", restart)
    training = module(name, "training")
    chosen = {"steps": 8, "batch": 6, "episodes": 4, **settings}
    run = training.Trainer(data, training.Settings(**chosen), out)
    while not out and run.step < 3:
        run.advance()
    return run


def samples(name: str, run, items: Tensor, count: int) -> Tensor:
    """The first of the synthetic datasets that the weights for each chain's dataset give."""
    model, weights = module(name, "model"), module(name, "weights")
    with torch.no_grad():
        emitted = [weights.unpack(run.hypernetwork(part)) for part in items.chunk(count)]
        return torch.cat([model.sample(w, run.state, 12)[:6] for w in emitted])


@pytest.mark.parametrize("name", ["together", "apart"])
def test_a_chain_goes_on_from_its_own_samples(name, monkeypatch):
    run = trainer(name, restart=0.0, monkeypatch=monkeypatch)
    for _ in range(2):
        before = run.chains.consumed
        count = len(before.items[0]) // 6
        assert count == (1 if name == "together" else 4)
        expected = samples(name, run, before.items[0], count)
        run.advance()
        torch.testing.assert_close(run.chains.consumed.items[0], expected)
        assert torch.equal(run.chains.consumed.anchors[0], before.anchors[0])
        assert not torch.equal(expected, before.items[0])


@pytest.mark.parametrize("name", ["together", "apart"])
def test_a_chain_begins_anew_with_real_data(name, monkeypatch):
    run = trainer(name, restart=1.0, monkeypatch=monkeypatch)
    anchors = run.chains.consumed.anchors[0]
    start = {key: value.clone() for key, value in run.hypernetwork.state_dict().items()}
    run.advance()
    count = len(anchors) // 6
    assert torch.equal(run.chains.consumed.anchors[0], torch.cat([batch[0] for batch in run.datasets[-count:]]))
    run.hypernetwork.load_state_dict(start)
    torch.testing.assert_close(run.chains.consumed.items[0], samples(name, run, run.chains.consumed.anchors[0], count))


@pytest.mark.parametrize("name", ["together", "apart"])
def test_samples_far_along_are_compared_with_where_the_chain_began(name):
    run, objective = trainer(name), module(name, "objective")
    datasets, consumed = [torch.randn(6, 5) for _ in range(4)], run.chains.consumed
    count = len(consumed.items[0]) // 6
    spread = run.hypernetwork.embedding_spread.clone()
    terms = objective.objective(run.hypernetwork, run.state, *datasets, consumed=consumed)
    with torch.no_grad():
        real = run.hypernetwork.embed_together(consumed.anchors, count)
        read = []
        for part in consumed.items[0].chunk(count):
            w = module(name, "weights").unpack(run.hypernetwork(part))
            drawn = module(name, "model").sample(w, run.state, 12)
            read.append(run.hypernetwork.embed_together((drawn,), 2))
        spread = run.hypernetwork.embedding_spread
        expected = objective.autophagy_penalty(real, torch.stack(read), spread).mean()
    torch.testing.assert_close(terms.penalty, expected)
    quiet = objective.objective(run.hypernetwork, run.state, *datasets, strength=0.0, consumed=consumed)
    assert quiet.consumed is consumed and quiet.penalty == 0


def test_a_run_resumes_with_its_chains(tmp_path):
    whole, begun = trainer("noisy", tmp_path / "whole"), trainer("noisy", tmp_path / "parts")
    torch.manual_seed(1)
    whole.run()
    torch.manual_seed(1)
    while begun.step < 6:
        begun.advance()
    assert begun.chains.consumed
    begun.save()
    torch.manual_seed(2)
    resumed = trainer("noisy", tmp_path / "parts")
    resumed.run()
    for part in ("hypernetwork", "state", "averaged"):
        one, other = (getattr(run, part).state_dict() for run in (whole, resumed))
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert all(
        torch.equal(*pair)
        for name in ("anchors", "items")
        for pair in zip(*(getattr(run.chains.consumed, name) for run in (whole, resumed)), strict=True)
    )


def test_without_chains_none_are_kept(tmp_path):
    package = hypergen.compile(Quiet(), torch.randn(8, 5), out=tmp_path / "plain")
    assert not (package.path / "chains.py").exists()
    assert not any("consumed" in path.read_text() for path in package.path.glob("*.py"))
