"""Several processes train what one trains, with the head whole on each or divided among them."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from .packages import Moments, Quiet, Statistics, publish
from .processes_worker import HEADS, STEPS, training

PROCESSES = 2
MODES = ("whole", "sharded")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The packages, their data, and what two processes made of them."""
    path = tmp_path_factory.mktemp("packages")
    for head in HEADS:
        torch.manual_seed(0)
        publish(Quiet(), path / head, head.replace("_", "-"))
    publish(Moments(), path / "moments", "biases", width=2)
    publish(Statistics(), path / "running_statistics", "low-rank")
    labels = np.arange(96) % 4
    values = np.random.default_rng(0).normal(size=(96, 5)) + labels[:, None]
    np.savez(path / "data.npz", x=values.astype(np.float32), labels=labels)
    np.savez(path / "pairs.npz", x=values[:, :2].astype(np.float32), labels=labels)
    sys.path.insert(0, str(path))
    launch(path)
    yield path
    sys.path.remove(str(path))


def launch(path: Path) -> None:
    """What torchrun does, without the time that it takes to start itself; keeps what each process printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, str(Path(__file__).with_name("processes_worker.py")), str(path)]
    common = {**os.environ, "WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            line,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    printed = [process.communicate(timeout=120) for process in running]
    assert not any(process.returncode for process in running), "\n".join(errors[-2000:] for _, errors in printed)
    (path / "stdout").write_text("\0".join(output for output, _ in printed))


def stored(path: Path) -> dict:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def alone(folder) -> dict[str, dict]:
    """What one process makes of each package."""
    found = {}
    for head in HEADS:
        run = training(head, folder)
        for _ in range(STEPS):
            run.advance()
        found[head] = run.content()
    return found


def assert_same_run(one: dict, other: dict) -> None:
    """Parameters, buffers, moments of the optimizer and what the log adds up, within 1e-6."""
    assert one["hypernetwork"].keys() == other["hypernetwork"].keys()
    for part in ("hypernetwork", "state"):
        for name, value in one[part].items():
            assert (value - other[part][name]).abs().max() <= 1e-6, name
    for place, record in one["optimizer"]["state"].items():
        torch.testing.assert_close(record, other["optimizer"]["state"][place], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one["sums"], other["sums"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("head", HEADS)
def test_two_processes_train_as_one(folder, alone, head, mode):
    found = stored(folder / f"{head}_{mode}.pt")
    assert_same_run(alone[head], found)
    assert found["hypernetwork"]["head"].any() and found["sums"][1] != 0


@pytest.mark.parametrize("head", HEADS)
def test_each_process_holds_its_columns_of_the_head(folder, alone, head):
    rows, columns = alone[head]["hypernetwork"]["head"].shape
    shapes = [stored(folder / f"{head}_sharded_shape_{rank}.pt") for rank in range(PROCESSES)]
    assert shapes == [(rows, columns // PROCESSES)] * PROCESSES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("head", HEADS)
def test_two_processes_resume_bit_for_bit(folder, head, mode):
    one, other = stored(folder / f"{head}_{mode}.pt"), stored(folder / f"{head}_{mode}_resumed.pt")
    assert one["hypernetwork"].keys() == other["hypernetwork"].keys()
    assert all(torch.equal(value, other["hypernetwork"][name]) for name, value in one["hypernetwork"].items())
    assert torch.equal(one["random"], other["random"]) and len(one["random"]) == PROCESSES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("head", HEADS)
def test_one_process_goes_on_where_two_stopped(folder, alone, head, mode):
    run = training(head, folder)
    run.restore(stored(folder / f"{head}_{mode}_half.pt"))
    for _ in range(STEPS // 2):
        run.advance()
    assert_same_run(alone[head], run.content())


def test_two_processes_read_the_moments_of_all_items(folder):
    """The smallest and the largest of all items are no mean of those of the processes."""
    run = training("moments", folder)
    assert run.hypernetwork.encoder.usual.numel() == 2 * 5
    for _ in range(STEPS):
        run.advance()
    assert_same_run(run.content(), stored(folder / "moments.pt"))


def test_running_statistics_are_those_of_all_items(folder):
    one, other = (stored(folder / f"running_statistics_{rank}.pt") for rank in range(PROCESSES))
    run = training("running_statistics", folder)
    run.advance()
    for name, expected in run.state.state_dict().items():
        assert torch.equal(one[name], other[name]), name
        if not name.endswith("running_var"):  # of half the items each, by their own mean
            torch.testing.assert_close(one[name], expected, rtol=0, atol=1e-6)
    assert one["norm_running_mean"].any() and torch.equal(one["places"], run.state.places)


def test_processes_draw_noise_of_their_own(folder):
    assert not torch.equal(*(stored(folder / f"noise_{rank}.pt") for rank in range(PROCESSES)))


@pytest.mark.parametrize("width", [16, 7])
def test_columns_that_do_not_divide_are_padded(folder, monkeypatch, width):
    processes = importlib.import_module("low_rank.processes")
    monkeypatch.setattr(processes, "count", lambda: 3)
    head, parts = torch.rand(2, width), []
    for rank in range(3):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        sharded = processes.ShardedHypernetwork.__new__(processes.ShardedHypernetwork)
        torch.nn.Module.__init__(sharded)
        sharded.columns = width
        parts.append(sharded.part(head))
    assert len({part.shape for part in parts}) == 1
    assert torch.equal(torch.cat(parts, dim=1)[:, :width], head)


def test_a_batch_that_does_not_divide_is_refused(folder, monkeypatch):
    monkeypatch.setattr(importlib.import_module("low_rank.learner"), "count", lambda: 5)
    with pytest.raises(SystemExit, match="--batch 12 does not divide among 5 processes: take a multiple of 5"):
        training("low_rank", folder)


def test_the_first_process_alone_writes_and_speaks(folder):
    assert [stdout.count(f"{STEPS} steps in") for stdout in (folder / "stdout").read_text().split("\0")] == [1, 0]
    rows = (folder / "run" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(step) for step in range(1, STEPS + 1)]
    assert stored(folder / "run" / "samples.pt").shape == (64, 5)


def test_a_run_with_a_divided_head_is_exported_as_any(folder, tmp_path, monkeypatch):
    out = tmp_path / "weights.pt"
    monkeypatch.setattr(sys, "argv", ["export", *map(str, (folder / "run", folder / "data.npz", "--out", out))])
    importlib.import_module("low_rank.export").main()
    Quiet().load_state_dict(stored(out))
