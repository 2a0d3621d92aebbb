"""What a run of the emitted Trainer leaves in its folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from .runs import module, trainer


def command(folder: Path, monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["train", str(folder / "data.npz"), *map(str, words)])
    module("noisy", "train").main()


def test_settings_are_kept_and_read_again(folder, tmp_path, monkeypatch):
    options = "--steps 4 --batch 8 --episodes 2 --lr 0.01 --bf16".split()
    command(folder, monkeypatch, "--out", tmp_path / "one", *options)
    config = tmp_path / "one" / "settings.json"
    command(folder, monkeypatch, "--out", tmp_path / "two", "--config", config, "--episodes", 3)
    one, two = (json.loads((tmp_path / name / "settings.json").read_text()) for name in ("one", "two"))
    assert two == {**one, "episodes": 3} and one["lr"] == 0.01 and one["bf16"] is True
    for text, said in (('{"step": 4}', "unexpected keyword argument 'step'"), ("{", "Expecting"), ("[]", "")):
        config.write_text(text)
        with pytest.raises(SystemExit, match=f"holds no settings: .*{said}"):
            command(folder, monkeypatch, "--out", tmp_path / "two", "--config", config)


def test_a_folder_that_is_full_keeps_what_it_has(folder, tmp_path, monkeypatch):
    synced, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        synced(file)

    options = "--steps 8 --batch 8 --episodes 2 --checkpoint-every 2".split()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit, match=r"cannot be written: .*No space left on device; the same command goes on"):
        command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert module("noisy", "checkpoint").read_checkpoint(tmp_path / "run")["step"] == 2
    command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 9


def test_a_run_that_a_person_stops_says_how_it_goes_on(folder, tmp_path, monkeypatch):
    training = module("noisy", "training")
    advance, options = training.Trainer.advance, "--steps 6 --batch 8 --episodes 2 --checkpoint-every 2".split()

    def stopped(self):
        if self.step == 3:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="stopped at step 3: the same command goes on"):
        patch.setattr(training.Trainer, "advance", stopped)
        command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert module("noisy", "checkpoint").read_checkpoint(tmp_path / "run")["step"] == 2
    command(folder, monkeypatch, "--out", tmp_path / "run", *options)
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 7


def test_a_place_that_is_no_folder_is_said(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="file/run cannot be written"):
        command(folder, monkeypatch, "--out", tmp_path / "file" / "run", "--steps", 2)


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: b"PK" * 100])
def test_a_checkpoint_that_is_torn_is_said(folder, tmp_path, damage):
    run = trainer(folder, out=tmp_path)
    run.save()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SystemExit, match="is no checkpoint"):
        run.run()


def test_what_is_kept_of_a_log_is_whole(tmp_path, folder):
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n4,")
    module("quiet", "log").begin(path, ["step", "loss"], 2)
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n"
    module("quiet", "log").begin(path, ["step", "loss", "more"], 2)
    assert path.read_text() == "step,loss,more\n"


def test_a_run_shows_itself(folder, tmp_path, capsys):
    out = tmp_path / "run"
    run = trainer(folder, "noisy", out, steps=200, lr=1e-2)
    run.run()
    error = capsys.readouterr().err
    assert error.count("the penalty, taken every") == 1 and "% of the time" in error
    assert error.count("\n") == 101 and "\r" not in error
    rows = [row.split(",") for row in (out / "dependence.csv").read_text().splitlines()]
    assert rows[0][:4] == ["step", "real", "synthetic", "gap"] and "norm.weight" in rows[0]
    assert [row[0] for row in rows[1:]] == ["100", "200"]
    assert all(float(value) > 0 for value in rows[2])
    samples, averaged = (torch.load(out / f"{name}.pt", weights_only=True) for name in ("samples", "samples_averaged"))
    assert samples.shape == averaged.shape == (64, 5) and not torch.equal(samples, averaged)
    pytest.importorskip("matplotlib")
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_gets_what_the_csv_files_have(folder, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer(folder, out=tmp_path, steps=100).run()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    losses = [float(row.split(",")[1]) for row in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert [event.value for event in events.Scalars("log/loss")] == pytest.approx(losses, rel=1e-5)
    assert {"dependence/real", "log/penalty"} <= set(events.Tags()["scalars"])


def test_neither_tensorboard_nor_matplotlib_is_needed(folder, tmp_path, monkeypatch):
    for name in ("torch.utils.tensorboard.writer", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    trainer(folder, out=tmp_path, steps=4).run()
    found = {path.name for path in tmp_path.iterdir()}
    samples = {"samples.pt", "samples_averaged.pt"}
    assert found == {"checkpoint.safetensors", "dependence.csv", "log.csv", "settings.json", *samples}
