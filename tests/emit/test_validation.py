"""Data that a run does not see: its loss is logged, and what has the lowest is kept."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from .packages import Statistics, publish

ROWS = 300  # more than one step takes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("packages")
    torch.manual_seed(0)
    publish(Statistics(), path / "validated", "low-rank")
    for name, seed in (("seen", 0), ("held", 1)):
        labels = np.arange(ROWS) % 4
        values = np.random.default_rng(seed).normal(size=(ROWS, 5)) + labels[:, None]
        np.savez(path / f"{name}.npz", x=values.astype(np.float32), labels=labels)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "validated"]:
        del sys.modules[name]


def module(name: str):
    return importlib.import_module(f"validated.{name}")


def trainer(folder: Path, out: Path | None, held: str | None = "held"):
    read, settings = module("data").read_data, module("training").Settings(steps=30, batch=8, episodes=2, lr=0.1)
    validation = read(folder / f"{held}.npz") if held else None
    return module("training").Trainer(read(folder / "seen.npz"), settings, out, validation=validation)


def ran(*arguments, **options):
    run = trainer(*arguments, **options)
    run.run(checkpoint_every=7)
    return run


def rows(path: Path) -> list[list[float]]:
    with open(path, newline="") as file:
        return [[float(value) for value in row] for row in list(csv.reader(file))[1:]]


def equal(one, other) -> bool:
    """Whether nested dictionaries of tensors are the same to the bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_the_best_is_kept_and_exported(folder, tmp_path, monkeypatch):
    ran(folder, tmp_path / "run")
    losses = rows(tmp_path / "run" / "validation.csv")
    lowest = min(losses, key=lambda row: min(row[1:]))
    assert len(losses) == 30 and lowest[0] < 30, "the rate is too high for the last step to be the best"

    best = module("checkpoint").read_checkpoint(tmp_path / "run", "best.safetensors")
    assert best["step"] == lowest[0] and best["loss"] == pytest.approx(min(lowest[1:]), rel=1e-5)
    words = ["export", str(tmp_path / "run"), str(folder / "seen.npz"), "--out", str(tmp_path / "best.pt"), "--best"]
    monkeypatch.setattr(sys, "argv", words)
    module("export").main()
    model = Statistics()
    model.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True))
    held = torch.from_numpy(np.load(folder / "held.npz")["x"])
    assert model.eval().loss(held).item() == pytest.approx(best["loss"], rel=1e-5)


def test_what_emits_the_same_for_all_data_is_not_the_best(folder, monkeypatch):
    run = trainer(folder, None)
    monkeypatch.setattr(run.validation, "loss", lambda hypernetwork, state: float(run.step))
    run.run()
    assert run.validation.best["loss"] == run.validation.best["step"] == run.settings.head_start() + 1


def test_without_a_folder_the_best_is_in_memory(folder, tmp_path):
    here = ran(folder, None)
    ran(folder, tmp_path)
    assert equal(here.validation.best, module("checkpoint").read_checkpoint(tmp_path, "best.safetensors"))


def test_a_run_that_was_stopped_keeps_the_same_best(folder, tmp_path):
    whole, stopped = ran(folder, tmp_path / "whole"), trainer(folder, tmp_path / "stopped")
    save = stopped.save

    def stop():
        if stopped.step == 21:  # its checkpoint is of step 14, the best may be of a later one
            raise KeyboardInterrupt
        save()

    stopped.save = stop
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoint_every=7)
    again = ran(folder, tmp_path / "stopped")
    assert equal(whole.validation.best, again.validation.best)
    assert rows(tmp_path / "whole" / "validation.csv") == rows(tmp_path / "stopped" / "validation.csv")


def test_validation_leaves_training_as_it_is(folder, tmp_path):
    with_it, without = ran(folder, None).content(), ran(folder, tmp_path, held=None).content()
    assert equal(with_it, without)
    assert not list(tmp_path.glob("best*")) and not list(tmp_path.glob("validation*"))
    with pytest.raises(SystemExit, match="--validation"):
        module("export").read_run(tmp_path, best=True)


def test_the_best_of_an_earlier_run_does_not_stay(folder, tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"of a run whose checkpoint was removed")
    ran(folder, tmp_path, held=None)
    assert not (tmp_path / "best.safetensors").exists()
