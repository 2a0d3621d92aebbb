"""Plain weights for all of the data, a part of it or a mixture, as the user's own module loads them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from .cases import CASES, importable, module, publish


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with importable(tmp_path_factory.mktemp("packages")) as path:
        for case in CASES:
            publish(case, path / case)
        publish("vectors", path / "moments", budget=None)  # few weights, so the encoder takes moments
        yield path


@pytest.mark.parametrize("case", ["labelled", "tokens", "moments"])
def test_row_weights_count_as_repeated_rows_do(case):
    inputs = tuple(part for part in CASES[case.replace("moments", "vectors")][1](7) if isinstance(part, Tensor))
    hypernetwork = module(case, "hypernetwork").Hypernetwork()
    assert (module(case, "hypernetwork").RANK == 5 * module(case, "hypernetwork").FEATURES) == (case == "moments")
    for parameter in hypernetwork.parameters():
        nn.init.normal_(parameter)
    data, export = module(case, "data").Data, module(case, "export")
    times = torch.tensor([3, 0, 1, 1, 0, 2, 1])
    repeated = data(tuple(part.repeat_interleave(times, 0) for part in inputs))
    expected = export.emit_for(hypernetwork, repeated)
    for chunk in (2, 1024):
        got = export.emit_for(hypernetwork, data(inputs), times / times.sum(), chunk)
        torch.testing.assert_close(got, expected)
    assert not torch.allclose(export.emit_for(hypernetwork, data(inputs)), expected)


def test_shares_become_weights():
    shares_to_weights = module("vectors", "export").shares_to_weights
    labels = torch.tensor([9, 4, 9, 9, 2])
    assert torch.equal(shares_to_weights(labels, {4: 1, 9: 3}), torch.tensor([0.25, 0.25, 0.25, 0.25, 0]).double())
    assert shares_to_weights(labels, {2: 0.1, 9: 0.2, 7: 0}).sum() == 1
    for shares, message in (({7: 0.5}, "labels are 2, 4, 9"), ({4: -1, 9: 2}, "at least 0"), ({}, "at least 0"),
                            ({4: float("nan")}, "at least 0"), ({4: 0}, "not all of them 0")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            shares_to_weights(labels, shares)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run on 96 items labelled 0 to 3, half of them 0, and that data."""
    path = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    labels = np.array([0, 0, 0, 1, 2, 3] * 16)
    images = np.random.default_rng(0).integers(0, 64, (96, 8, 8)) + 60 * labels[:, None, None]
    np.savez(path / "data.npz", images=images.astype(np.uint8), labels=labels)
    data = module("labelled", "data").read_data(path / "data.npz")
    settings = module("labelled", "settings").Settings(steps=16, batch=16, episodes=2, lr=0.03)
    module("labelled", "training").Trainer(data, settings, path / "run").run()
    return path


@pytest.fixture
def export(run, tmp_path, monkeypatch):
    def export(*options: str, out: str = "weights.safetensors") -> dict[str, Tensor]:
        arguments = ["export", str(run / "run"), str(run / "data.npz"), "--out", str(tmp_path / out), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        module("labelled", "export").main()
        if out.endswith(".pt"):
            return torch.load(tmp_path / out, weights_only=True)
        return pytest.importorskip("safetensors.torch").load_file(tmp_path / out)

    return export


def emitted(run, rows: Tensor, averaged: bool = False) -> dict[str, Tensor]:
    """What the run emits for some rows of its data."""
    parts = {name: module("labelled", name) for name in ("export", "data", "weights")}
    data = parts["data"].read_data(run / "data.npz")
    hypernetwork, state = parts["export"].read_run(run / "run", averaged)
    flat = parts["export"].emit_for(hypernetwork, parts["data"].Data(tuple(part[rows] for part in data.inputs)))
    return {**parts["weights"].to_state_dict(flat), **state.to_state_dict()}


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    same = one.keys() == other.keys()
    return same and all(torch.allclose(value, other[name], atol=1e-6) for name, value in one.items())


def test_all_of_the_data_or_a_part(run, export, tmp_path):
    whole = export()
    assert close(whole, emitted(run, torch.arange(96))) and close(export(out="weights.pt"), whole)
    part = export("--rows", "3:20")
    assert close(part, emitted(run, torch.arange(3, 20))) and not close(part, whole)
    for name, write in (("rows.npy", np.save), ("rows.txt", lambda path, rows: np.savetxt(path, rows, "%d"))):
        write(tmp_path / name, np.array([5, 3, 3, 90]))
        assert close(export("--rows", str(tmp_path / name)), emitted(run, torch.tensor([3, 5, 90])))
    assert close(export("--rows=-6:"), emitted(run, torch.arange(90, 96)))
    model = CASES["labelled"][0]()
    model.load_state_dict(whole)
    assert torch.equal(model.state_dict()["encoder.weight"], whole["encoder.weight"])


def test_a_mixture_counts_as_data_of_that_mixture(run, export):
    labels = torch.tensor([0, 0, 0, 1, 2, 3] * 16)
    ones, threes = ((labels == label).nonzero().squeeze(1) for label in (1, 3))
    expected = emitted(run, torch.cat([ones, threes.repeat(3)]))
    for shares in ("1=0.25,3=0.75", "1=1,3=3", "1=1,3=3,0=0"):
        assert close(export("--mix", shares), expected)
    balanced = emitted(run, torch.cat([torch.arange(96), *[(labels > 0).nonzero().squeeze(1)] * 2]))
    assert close(export("--balance", "labels"), balanced)
    assert not close(export(), balanced)
    within = emitted(run, torch.tensor([0, 1, 2, 3, 3, 3]))
    assert close(export("--balance", "labels", "--rows", "0:4"), within)


def test_the_moving_average_is_exported_unless_the_last_parameters_are_asked_for(run, export):
    raw, averaged = (emitted(run, torch.arange(96), averaged) for averaged in (False, True))
    assert close(export(), raw) and close(export("--averaged"), averaged) and not close(raw, averaged)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mix", "1=0.5,7=0.5"], "no item is labelled 7: the labels are 0, 1, 2, 3"),
        (["--mix", "1:0.5"], "'1:0.5' is no share"),
        (["--mix", "1=-1"], "at least 0"),
        (["--mix", "3=1", "--rows", "0:3"], "no item is labelled 3: the labels are 0"),
        (["--rows", "96:"], "all from 0 to 95"),
        (["--rows", "missing.npy"], "missing.npy"),
        (["--rows", "missing.txt"], "missing.txt"),
    ],
)
def test_what_does_not_fit_the_data_is_said(export, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        export(*options)
    assert not (tmp_path / "weights.safetensors").exists()


def test_mixtures_need_labels():
    row_weights, data = module("vectors", "mixtures").row_weights, module("vectors", "data").Data((torch.rand(9, 4),))
    assert row_weights(data, None, None, False) is None
    for shares, balanced in (("1=1", False), (None, True)):
        with pytest.raises(SystemExit, match="the data has no labels"):
            row_weights(data, None, shares, balanced)


def test_the_names_of_folders_name_labels():
    data = module("labelled", "data").Data((torch.rand(4, 1, 8, 8),), torch.tensor([0, 1, 1, 1]), ("cats", "dogs"))
    weights = module("labelled", "mixtures").row_weights(data, None, "dogs=0.25,cats=0.75", False)
    torch.testing.assert_close(weights, torch.tensor([0.75, 1 / 12, 1 / 12, 1 / 12]).double())


@pytest.mark.parametrize("weighted", [False, True])
def test_running_statistics_are_the_average_over_batches(run, weighted):
    part = {name: module("labelled", name) for name in ("batch_norm", "data", "weights", "model", "export")}
    refresh = part["batch_norm"]
    data = part["data"].read_data(run / "data.npz")
    weights = part["export"].shares_to_weights(data.labels, {1: 1, 3: 2}) if weighted else None
    flat = part["weights"].initial_weights() + 0.1
    state = part["weights"].State()
    state.norm_num_batches_tracked.fill_(7)
    state.norm_running_var.fill_(1e4)
    refresh.refresh_batch_norm(state, flat, data, weights)

    model = CASES["labelled"][0]()
    model.load_state_dict({**part["weights"].to_state_dict(flat), **part["weights"].State().to_state_dict()})
    model.norm.momentum = None
    model.norm.reset_running_stats()
    model.train()
    generator = torch.Generator().manual_seed(0)
    for _ in range(refresh.BATCHES):
        images, labels = refresh.draw(data, weights, generator)
        assert not weighted or {*labels.tolist()} <= {1, 3}
        model.loss(images, labels, 0.5)
    torch.testing.assert_close(state.norm_running_mean, model.norm.running_mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(state.norm_running_var, model.norm.running_var, atol=1e-6, rtol=1e-5)
    assert state.norm_num_batches_tracked == 7


def test_running_statistics_are_refreshed_on_request(run, export):
    kept, refreshed = export(), export("--refresh-batch-norm")
    assert {name for name, value in kept.items() if not torch.equal(value, refreshed[name])} == {
        "norm.running_mean",
        "norm.running_var",
    }


def test_without_running_statistics_there_is_nothing_to_refresh(folder):
    assert (folder / "labelled" / "batch_norm.py").exists() and not (folder / "tokens" / "batch_norm.py").exists()
    assert "refresh" not in (folder / "tokens" / "export.py").read_text()


def test_samples_under_the_exported_weights(run, export, tmp_path):
    export("--samples", str(tmp_path / "samples.png"), "--count", "16")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    drawn = []
    for _ in range(2):
        export("--samples", str(tmp_path / "samples.npz"), "--count", "20")
        drawn.append(np.load(tmp_path / "samples.npz")["samples"])
    assert drawn[0].shape == (20, 1, 8, 8) and np.array_equal(*drawn)
    for options in (("samples.png", "--count", "20"), ("samples.jpg",)):
        with pytest.raises(SystemExit):
            export("--samples", *options)


def test_a_folder_that_is_not_there_is_said_first(run, export, tmp_path, capsys):
    for options in (("--out", tmp_path / "none" / "weights.pt"), ("--samples", tmp_path / "none" / "samples.npz")):
        with pytest.raises(SystemExit):
            export(*map(str, options))
        assert f"{options[1]}: there is no folder {tmp_path / 'none'}" in capsys.readouterr().err
