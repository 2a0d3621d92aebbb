"""The experiment `autophagy` in miniature: chains, contestants, statistics and the page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from hypergen_compiler.evidence.autophagy import gaussians
from hypergen_compiler.evidence.autophagy.chains import FORMS, cases, chain, drawn, next_data
from hypergen_compiler.evidence.autophagy.contestants import Continued, emitted, resampled
from hypergen_compiler.evidence.autophagy.page import page, table, write
from hypergen_compiler.evidence.autophagy.plain import Training, initial, sampled, trained_plainly
from hypergen_compiler.evidence.autophagy.run import together
from hypergen_compiler.evidence.autophagy.seed import measured_seed
from hypergen_compiler.evidence.autophagy.setting import QUICK, split
from hypergen_compiler.evidence.autophagy.statistics import averaged, differences, stated
from hypergen_compiler.evidence.group_classifier import fitted
from hypergen_compiler.evidence.models.noisy_vae import NoisyVAE
from hypergen_compiler.evidence.packages import compiled


def blobs(n: int, groups: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of 4 x 4 with one bright row, another for every group."""
    labels = torch.arange(n) % groups
    pictures = 0.1 * torch.rand(n, 1, 4, 4)
    pictures[torch.arange(n), 0, labels] += 0.8
    return pictures, labels


def test_a_start_has_the_shares_that_it_says():
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 5)
    balanced, *_, imbalanced = cases(3, heavy=1)
    torch.manual_seed(0)
    assert torch.bincount(labels[drawn(labels, balanced.shares, 100)]).tolist() in (
        [34, 33, 33],
        [33, 34, 33],
        [33, 33, 34],
    )
    assert torch.bincount(labels[drawn(labels, imbalanced.shares, 100)]).tolist() == [25, 50, 25]
    assert drawn(labels, torch.tensor([0.0, 1.0, 0.0]), 3).ge(50).all()


def test_half_of_what_the_next_generation_reads_is_real_but_in_synthetic_chains():
    synthetic, real = torch.zeros(8), torch.ones(8)
    assert [next_data(form, synthetic, real).mean().item() for form in FORMS] == [0, 0.5, 0.5]


def test_chains_feed_on_themselves_in_the_way_of_their_form():
    """A contestant that adds 1: after three generations 3, with half real data in the mean 1.75."""
    found = chain(
        lambda data: data.mean(1, keepdim=True).expand(-1, 4) + 1, cases(2, 0)[:3], lambda _: torch.zeros(4), 3
    )
    assert [run[-1].mean().item() for run in found] == [3, 1.75, 1.75]
    assert [len(run) for run in found] == [4, 4, 4]


def test_resampling_invents_nothing():
    torch.manual_seed(0)
    data = torch.randn(3, 20)
    for before, after in zip(data, resampled(data), strict=True):
        assert torch.isin(after, before).all() and len(after.unique()) < 20


def test_models_trained_side_by_side_do_not_meet():
    with compiled(NoisyVAE(4, hidden=8, latent=2), lambda n: (torch.rand(n, 1, 4, 4),)) as package:
        training = Training(60, 1e-2)
        dark, bright = torch.zeros(1, 64, 1, 4, 4), torch.ones(1, 64, 1, 4, 4)
        flat = trained_plainly(package, initial(package, 2), torch.cat([dark, bright]), training=training)
        means = sampled(package, flat, 500).mean((1, 2, 3, 4))
        assert means[0] < 0.35 and means[1] > 0.65
        continued = Continued(package, flat[1], training)
        first, second = continued(dark).mean(), continued(dark).mean()
        assert means[1] > first > second  # goes on from where it was


def test_gaussians_shrink_under_maximum_likelihood_and_not_under_the_sample_variance(monkeypatch):
    monkeypatch.setattr(gaussians, "GENERATIONS", 10)
    torch.manual_seed(0)
    ends = {name: gaussians.chain(own, FORMS[0], 4000)[-1, 0].item() for name, own in gaussians.CLOSED.items()}
    assert ends["maximum likelihood"] == pytest.approx(0.95**10, abs=0.05)
    assert ends["resampling"] == pytest.approx(0.95**10, abs=0.05)
    assert ends["sample variance"] == pytest.approx(1, abs=0.06)


def test_the_classifier_knows_its_groups_and_leaves_the_generator_alone():
    pictures, labels = blobs(300)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = fitted(pictures, labels, 3, seed=0, steps=150)
    assert torch.equal(before, torch.get_rng_state())
    assert (model.groups(pictures) == labels).double().mean() > 0.95
    tokens = torch.stack([labels, 2 - labels], 1)
    assert (fitted(tokens, labels, 3, seed=0, steps=150).groups(tokens) == labels).all()


def test_differences_are_taken_in_pairs_and_called_clear_only_where_they_are():
    def row(name: str, values: list[float]) -> dict:
        measures = {measure: values for measure in ("frechet", "precision", "recall", "diversity", "drift", "heavy")}
        return {"contestant": name, "form": FORMS[0], "start": "balanced", "shares": [[0.5, 0.5]] * 2, **measures}

    seeds = [10.0, 20.0, 30.0, 40.0]
    ours = [row("hypernetwork, penalty unbiased", [0.0, seed]) for seed in seeds]
    theirs = [row("hypernetwork", [0.0, seed + 1 + 0.01 * i]) for i, seed in enumerate(seeds)]
    noisy = [row("plain, retrained", [0.0, other]) for other in (0.0, 45.0, 20.0, 41.0)]
    continued, conditional = (
        [{**r, "contestant": name} for r in noisy] for name in ("plain, continued", "class-conditional")
    )
    found = differences([ours, theirs, noisy, continued, conditional])
    clear = {row["against"]: row["clear"] for row in found if row["contestant"] == "hypernetwork, penalty unbiased"}
    assert clear == {
        "hypernetwork": True,
        "plain, retrained": False,
        "plain, continued": False,
        "class-conditional": False,
    }
    assert averaged(ours)["frechet"] == [0.0, 25.0]
    assert [stated(141.2, 12.0), stated(0.3371, 0.018), stated(1.0, 0.0)] == ["141 ± 12", "0.34 ± 0.02", "1.00 ± 0.00"]


def test_the_experiment_runs_and_its_page_says_what_was_found(tmp_path):
    pictures, labels = blobs(360)
    scale = replace(QUICK, generations=1, hypernetwork_steps=40, plain_steps=(20,))
    parts = [measured_seed(pictures, labels, scale, 0, part) for part in ("plain", "hypernetworks")]
    rows = [row for part in parts for row in part["chains"]]
    assert len({row["contestant"] for row in rows}) == 7 and len(rows) == 7 * len(FORMS) * 2
    gaussian = [
        {
            "contestant": name,
            "form": form,
            **{key: [1.0, 0.5] for key in ("mean", "mean_error", "median", "median_error")},
        }
        for name in ("resampling", "hypernetwork, penalty unbiased")
        for form in FORMS
    ]
    about = {
        "versions": {"hypergen": "0", "torch": "0", "python": "0"},
        "quick": True,
        "generations": 1,
        "seeds": [0, 1],
    }
    found = {**about, "gaussian": gaussian, **together([parts, parts])}
    write(tmp_path / "new", found)
    assert json.loads((tmp_path / "new" / "autophagy.json").read_text())["chains"][0]["form"] == FORMS[0]
    assert (tmp_path / "new" / "autophagy.png").read_bytes().startswith(b"\x89PNG")
    text = page(found)
    assert "hypergen experiment autophagy --quick" in text and "What the penalty over chains changes" in text
    assert table(found).row_count == 14


def test_parts_of_the_data_do_not_overlap():
    pictures = torch.arange(90.0).view(90, 1, 1, 1)
    parts = split(pictures, torch.arange(90) % 3, seed=1)
    places = torch.cat([part[0].flatten() for part in (parts.learn, parts.choose, parts.judge)])
    assert places.sort().values.tolist() == list(range(90)) and parts.groups == 3
    assert not torch.equal(parts.judge[0], split(pictures, torch.arange(90) % 3, seed=2).judge[0])


def test_a_hypernetwork_emits_anew_for_every_dataset():
    class Run:
        def emit(self, data):
            return data.mean()

        def sample(self, flat, n):
            return flat.expand(n)

    assert emitted(Run())(torch.tensor([[1.0, 3.0], [5.0, 5.0]])).tolist() == [[2, 2], [5, 5]]
