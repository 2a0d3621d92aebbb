"""One of several processes that train the packages of a folder:  torchrun processes_worker.py FOLDER"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from pathlib import Path

import torch

STEPS = 8
HEADS = ("biases", "low_rank")


def training(package: str, folder: Path, shard_head: bool = False):
    """A run of the same settings, whoever makes it."""
    module = importlib.import_module(f"{package}.training")
    file = folder / ("pairs.npz" if package == "moments" else "data.npz")
    data = importlib.import_module(f"{package}.data").read_data(file)
    settings = module.Settings(steps=STEPS, batch=12, episodes=3, lr=3e-3)
    return module.Trainer(data, settings, shard_head=shard_head)


def save(run, path: Path) -> None:
    """What a checkpoint of now would hold."""
    content = run.content()
    if importlib.import_module("biases.processes").rank() == 0:
        torch.save(content, path)


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    processes = importlib.import_module("biases.processes")
    assert processes.join("cpu") == "cpu"
    for head, shard_head in itertools.product(HEADS, (False, True)):
        name = f"{head}_{'sharded' if shard_head else 'whole'}"
        run = training(head, folder, shard_head)
        for _ in range(STEPS // 2):
            run.advance()
        save(run, folder / f"{name}_half.pt")
        for _ in range(STEPS // 2):
            run.advance()
        save(run, folder / f"{name}.pt")
        torch.distributed.barrier()  # the first process has written
        again = training(head, folder, shard_head)
        again.restore(torch.load(folder / f"{name}_half.pt", weights_only=True))
        for _ in range(STEPS // 2):
            again.advance()
        save(again, folder / f"{name}_resumed.pt")
        torch.save(tuple(run.hypernetwork.head.shape), folder / f"{name}_shape_{processes.rank()}.pt")

    run = training("moments", folder)
    for _ in range(STEPS):
        run.advance()
    save(run, folder / "moments.pt")

    run = training("running_statistics", folder)
    run.advance()
    torch.save(run.state.state_dict(), folder / f"running_statistics_{processes.rank()}.pt")
    torch.save(torch.rand(3), folder / f"noise_{processes.rank()}.pt")
    command(folder)
    processes.leave()
    sys.stderr.flush()
    os._exit(0)  # gloo's threads may abort a process whose Python is shutting down: seen once, with torch 2.13


def command(folder: Path) -> None:
    """`python -m low_rank.train`, but that this process has joined already."""
    train = importlib.import_module("low_rank.train")
    train.join, train.leave = (lambda device: device), (lambda: None)
    settings = f"--steps {STEPS} --batch 12 --episodes 3 --device cpu --shard-head"
    sys.argv = ["train", str(folder / "data.npz"), "--out", str(folder / "run"), *settings.split()]
    train.main()


if __name__ == "__main__":
    main()
