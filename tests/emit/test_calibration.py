"""Weights under which samples have the shares of the labels that are asked for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from .cases import importable, module, publish, write_data


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with importable(tmp_path_factory.mktemp("packages")) as path:
        for case in ("labelled", "tokens", "vectors"):
            publish(case, path / case)
        yield path


def clusters(shares: torch.Tensor, count: int, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [count, 2] and labels of clusters on a circle, moved along the first axis."""
    labels = torch.repeat_interleave(torch.arange(len(shares)), (shares * count).round().long())
    angles = 2 * torch.pi * labels / len(shares)
    noise = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0))
    return 4 * torch.stack([angles.cos(), angles.sin()], 1) + noise + torch.tensor([shift, 0]), labels


def test_the_reader_reads_shares_that_differ_from_those_it_has_learned_from():
    reader = module("tokens", "calibration").fitted(*clusters(torch.tensor([0.05, 0.9, 0.05]), 400))
    shares = torch.tensor([0.2, 0.1, 0.7])
    torch.testing.assert_close(reader.shares(clusters(shares, 2000)[0]), shares, atol=0.01, rtol=0)


def test_samples_for_equal_shares_move_the_reader():
    calibration, even = module("tokens", "calibration"), torch.tensor([0.5, 0.5])
    reader = calibration.fitted(*clusters(even, 400))
    moved = clusters(even, 2000, shift=4)[0]
    before, after = reader.shares(moved), calibration.evened(reader, moved).shares(moved)
    assert before[0] > 0.7 and 0.5 < after[0] < before[0] - 0.1


@pytest.mark.parametrize("wanted", [{3: 0.05, 7: 0.95}, {3: 2, 7: 1, 9: 1}])
def test_another_mixture_is_asked_for_until_samples_have_the_wanted_one(monkeypatch, wanted):
    """The hypernetwork here emits the shares that it is asked for, and samples are a third of the way to equal ones."""
    calibration = module("tokens", "calibration")
    count = max(3, len(wanted) + 1)
    features, numbers = clusters(torch.full((count,), 1 / count), 300)
    hypernetwork = SimpleNamespace(
        encoder=lambda _, weights: torch.zeros(count).index_add(0, numbers, weights.float()), emit=lambda shares: shares
    )

    def features_of_samples(_, shares, state):
        return clusters((shares + (1 / count - shares) / 3).clamp_min(0), 4000)[0]

    monkeypatch.setattr(calibration, "features_of", lambda *_: features)
    monkeypatch.setattr(calibration, "features_of_samples", features_of_samples)
    labels = torch.tensor([3, 7, 9, 11])[numbers]
    found = calibration.calibrate(hypernetwork, None, SimpleNamespace(labels=labels), wanted)
    target = torch.tensor([wanted.get(label, 0.0) for label in found.labels.tolist()]).double() / sum(wanted.values())
    torch.testing.assert_close(found.wanted, target)
    reachable = (3 * target - 1 / count) / 2
    torch.testing.assert_close(found.asked, reachable, atol=0.02, rtol=0)
    torch.testing.assert_close(found.flat.double(), found.asked, atol=1e-6, rtol=0)
    assert (found.before - target).abs().max() > 0.08 > 0.01 > (found.after - target).abs().max()
    assert found.asked.min() < 0 and len(found.lines()) == count


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    write_data("tokens", path / "data.npz")
    data = module("tokens", "data").read_data(path / "data.npz")
    settings = module("tokens", "settings").Settings(steps=100, batch=16, episodes=4, lr=0.03)
    module("tokens", "training").Trainer(data, settings, path / "run").run()
    return path


@pytest.fixture
def export(run, tmp_path, monkeypatch):
    def export(*options: str) -> dict[str, torch.Tensor]:
        arguments = ["export", str(run / "run"), str(run / "data.npz"), "--out", str(tmp_path / "weights.pt"), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        monkeypatch.setattr(module("tokens", "calibration"), "DRAWN", 512)
        module("tokens", "export").main()
        return torch.load(tmp_path / "weights.pt", weights_only=True)

    return export


def test_calibrated_weights_are_exported_and_what_was_done_is_said(run, export, capsys):
    plain = export("--mix", "0=0.1,3=0.9")
    assert "wanted" not in capsys.readouterr().out
    calibrated = export("--mix", "0=0.1,3=0.9", "--calibrate")
    assert any(not torch.equal(plain[name], calibrated[name]) for name in plain)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("label ")]
    assert lines[0].startswith("label 0: 0.100 wanted, samples had ") and len(lines) == 4
    again = export("--mix", "0=1,3=9", "--calibrate")
    assert all(torch.equal(again[name], calibrated[name]) for name in again)
    export("--balance", "labels", "--calibrate")
    assert "label 2: 0.250 wanted" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--mix", "0=1", "--rows", "0:8")])
def test_only_shares_of_all_of_the_data_are_calibrated(export, capsys, options):
    with pytest.raises(SystemExit):
        export("--calibrate", *options)
    assert "--calibrate goes with --mix or --balance, and without --rows" in capsys.readouterr().err


def test_samples_are_drawn_from_the_same_noise_and_leave_the_generator_as_it_was():
    calibration, weights = module("tokens", "calibration"), module("tokens", "weights")
    hypernetwork, state = module("tokens", "hypernetwork").Hypernetwork(), torch.get_rng_state()
    first, second = (
        calibration.features_of_samples(hypernetwork, weights.initial_weights(), weights.State()) for _ in range(2)
    )
    assert torch.equal(first, second) and torch.equal(state, torch.get_rng_state())


def test_shares_that_are_none_are_refused(run):
    calibrate, data = module("tokens", "calibration").calibrate, module("tokens", "data").read_data(run / "data.npz")
    with pytest.raises(ValueError, match="no item is labelled 8: the labels are 0, 1, 2, 3"):
        calibrate(None, None, data, {8: 1.0})
    with pytest.raises(ValueError, match="no labels"):
        calibrate(None, None, module("tokens", "data").Data(data.inputs), {0: 1.0})


def test_what_draws_no_whole_items_comes_without(folder):
    for case, emitted in (("tokens", True), ("vectors", False), ("labelled", False)):
        assert (folder / case / "calibration.py").exists() == emitted
        assert ("calibrate" in (folder / case / "export.py").read_text()) == emitted
