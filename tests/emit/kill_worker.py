"""Trains a package in child processes that are killed at random moments:  python kill_worker.py FOLDER KILLS

Each child goes on from what the last one left. Prints how many were killed and how many runs came to their end.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

STEPS = 60
LONGEST = 0.25  # seconds that a child lives


def trainer(folder: Path, out: Path):
    """A run in which a good part of the time goes into writing."""
    training = importlib.import_module("running_statistics.training")
    data = importlib.import_module("running_statistics.data").read_data(folder / "data.npz")
    return training.Trainer(data, training.Settings(steps=STEPS, batch=8, episodes=2), out)


def child(folder: Path, out: Path) -> None:
    """A process that trains to the end, or until it is killed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    trainer(folder, out).run(checkpoint_every=1)
    os._exit(0)


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    sys.path.insert(0, str(folder))
    torch.set_num_threads(1)  # a process with threads must not fork
    read_checkpoint = importlib.import_module("running_statistics.checkpoint").read_checkpoint
    expected = folder / "uninterrupted"
    trainer(folder, expected).run(checkpoint_every=1)
    moments, killed, finished = random.Random(0), 0, 0
    out = folder / "killed"
    while killed < kills or not finished:
        if (number := os.fork()) == 0:
            child(folder, out)
        time.sleep(moments.uniform(0.0, LONGEST) if killed < kills else 0.0)
        if killed < kills:
            os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        killed += os.WIFSIGNALED(status)
        read_checkpoint(out)  # ends the program where it is not whole
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            for name in ("checkpoint.safetensors", "log.csv", "dependence.csv"):
                assert same(expected / name, out / name), name
            finished += 1
            shutil.rmtree(out)
    print(killed, finished)


def same(one: Path, other: Path) -> bool:
    """Whether two files are equal but for what the clock says."""
    if one.suffix == ".csv":
        first, second = ([row.rpartition(",")[0] for row in path.read_text().splitlines()] for path in (one, other))
        return first == second
    read = importlib.import_module("running_statistics.storage").read_safetensors
    first, second = (read(path)[0] for path in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


if __name__ == "__main__":
    main()
