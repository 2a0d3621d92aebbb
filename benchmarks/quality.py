"""What each head learns, and whether its samples follow the data:  python -m benchmarks.quality [--data mnist.npz]

The default head trains without the penalty, and without mixtures of classes too, which tells what each of them costs.
Every contender trains with as many steps on as many pictures, at the one of RATES that is best for the plain model, by
the validation loss of seed 0; the plain model also for two and four times as many steps, which tells what it reaches in
a head's time.
Trainings are kept under --kept and not repeated. Writes quality.md and quality.json to the folder --out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import hypergen_compiler as hypergen
from benchmarks.quality_page import Row, page, plain_row, row
from benchmarks.quality_runs import Run, step_ratio, train_head, train_plain
from benchmarks.quality_tasks import TASKS, Digits
from hypergen_compiler.design import Request, design

__all__ = ["main"]

RATES = (1e-3, 3e-3, 1e-2)
LENGTHS = (1, 2, 4)  # of the plain model's trainings, times a head's steps; the longest only for slow heads
LEARNING = "model weights layers hypernetwork objective learner optimizer settings episodes".split()  # files
SECONDS = 10.0  # for a ratio of steps
PARTS = {"no penalty": ("penalty",), "neither penalty nor mixtures": ("penalty", "mixtures")}  # left out


@cache
def digits(name: str, data: Path | None) -> Digits:
    return TASKS[name].read(data)


class Kept:
    """Results in files, by everything that they come from; what is there is not made again.

    `plain` and `head` begin a training and return a function that waits for it.
    """

    def __init__(self, folder: Path, workers: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.pool = folder, ProcessPoolExecutor(workers, get_context("spawn"))

    def plain(self, name: str, data: Path | None, length: int, rate: float, seed: int) -> Callable[[], Run]:
        steps = length * TASKS[name].steps
        return self.begin((name, "plain", steps, rate, seed), run_plain, name, data, steps, rate, seed)

    def head(
        self, name: str, data: Path | None, folder: Path, rate: float, seed: int, without: Sequence[str] = ()
    ) -> Callable[[], Run]:
        key = (folder.name, *(f"no-{part}" for part in without), TASKS[name].steps, fingerprint(folder), rate, seed)
        return self.begin(key, run_head, name, data, folder, rate, seed, without)

    def ratio(self, measured: Callable[[Path], float], folder: Path) -> float:
        path = self.folder / f"{folder.name}-ratio-{fingerprint(folder)}.json"
        if not path.exists():
            path.write_text(json.dumps(measured(folder)))
        return json.loads(path.read_text())

    def begin(self, key: tuple[object, ...], function: Callable[..., Run], *arguments: Any) -> Callable[[], Run]:
        path = self.folder / f"{'-'.join(map(str, key))}.json"
        if path.exists():
            return lambda: Run(**json.loads(path.read_text()))
        return self.pool.submit(keep, path, function, *arguments).result


def keep(path: Path, function: Callable[..., Run], *arguments: Any) -> Run:
    run = function(*arguments)
    path.write_text(json.dumps(asdict(run)))
    print(f"{path.stem}: {run}", file=sys.stderr, flush=True)
    return run


def run_plain(name: str, data: Path | None, steps: int, rate: float, seed: int) -> Run:
    return train_plain(TASKS[name], digits(name, data), steps, rate, seed)


def run_head(name: str, data: Path | None, folder: Path, rate: float, seed: int, without: Sequence[str]) -> Run:
    return train_head(TASKS[name], digits(name, data), folder, rate, seed, without)


def compiled(name: str, data: Path | None, scratch: Path) -> dict[str, Path]:
    """The packages of a task's heads."""
    folders = {asked: scratch / f"{name}_{asked.replace('-', '_')}" for asked in TASKS[name].heads}
    for asked, folder in folders.items():
        torch.manual_seed(0)
        hypergen.compile(TASKS[name].make(), digits(name, data).images[:2], out=folder, head=asked)
    return folders


def fingerprint(folder: Path) -> str:
    """Of the code of a package that with the seed decides what is learned."""
    texts = [(folder / f"{part}.py").read_bytes() for part in LEARNING if (folder / f"{part}.py").exists()]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def rows(name: str, data: Path | None, seeds: int, kept: Kept, scratch: Path) -> list[Row]:
    task, pictures = TASKS[name], digits(name, data)
    tuning = {rate: kept.plain(name, data, 1, rate, 0) for rate in RATES}
    folders = compiled(name, data, scratch)
    best = min(tuning, key=lambda rate: tuning[rate]().validation)
    measured = partial(step_ratio, task, pictures, SECONDS)
    ratios = {asked: kept.ratio(measured, folder) for asked, folder in folders.items()}
    lengths = [length for length in LENGTHS if length <= 2 or max(ratios.values()) > 2]
    plain = {length: [kept.plain(name, data, length, best, seed) for seed in range(seeds)] for length in lengths}
    heads = {
        asked: [kept.head(name, data, folder, best, seed) for seed in range(seeds)] for asked, folder in folders.items()
    }
    usual = design(Request(task.make(), pictures.images[:2]), name).plan.head
    without = {
        f"{usual}, {words}": [kept.head(name, data, folders[usual], best, seed, parts) for seed in range(seeds)]
        for words, parts in PARTS.items()
    }
    lasting = {length: [run() for run in runs] for length, runs in plain.items()}
    found = [plain_row(best, lasting)]
    for asked, runs in heads.items():
        called = f"{asked} (default)" if asked == usual else asked
        found.append(row(called, [run() for run in runs], lasting, ratios[asked]))
    return found + [row(words, [run() for run in runs], lasting) for words, runs in without.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="MNIST as a file .npz of images [n, 28, 28] and labels [n]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, one thread each")
    parser.add_argument("--kept", type=Path, default=Path("build/quality"), help="folder of results")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    kept = Kept(args.kept, args.workers)
    with tempfile.TemporaryDirectory() as scratch, kept.pool:
        wanted = [name for name in TASKS if name != "mnist" or args.data is not None]
        found = {name: rows(name, args.data, args.seeds, kept, Path(scratch)) for name in wanted}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "quality.md").write_text(page(found, args.seeds))
    content = {name: [asdict(one) for one in several] for name, several in found.items()}
    (args.out / "quality.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
