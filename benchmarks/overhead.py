"""What a run costs beyond its steps:  python -m benchmarks.overhead [--steps 2000] [--rounds 3]

A run of an emitted Trainer with everything on, that is moving averages, checks, logs, TensorBoard, samples, dependence
and checkpoints, over a bare loop of the same steps: draw, objective, backward, clip, optimizer. Both go on in turn,
BLOCK steps each in one process, so that other work on the machine slows both alike. What comes once in a run, however
long it is, stands apart: samples and curves at its end, by a run that has no step left. Processor time on one thread,
on average over the rounds, and the lowest and highest ratio of a round.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch

import hypergen_compiler as hypergen
from hypergen_compiler.examples import ConvVAE, CouplingFlow, SmallGPT

__all__ = ["Turns", "bare_steps", "in_turn"]

BLOCK = 25  # steps
MODELS = {
    "coupling flow": (CouplingFlow, lambda: torch.randn(1000, 2)),
    "conv VAE": (ConvVAE, lambda: torch.rand(1000, 1, 8, 8)),
    "GPT": (SmallGPT, lambda: torch.randint(12, (1000, 32))),
}


def bare_steps(package: ModuleType, data: object, settings: object) -> Iterator[int]:
    """The steps that a run takes, and nothing else."""
    torch.manual_seed(settings.seed)
    learner = package.learner.Learner(data, settings._replace(ema=0))
    hypernetwork, state, optimizer = learner.hypernetwork, learner.state, learner.optimizer
    head_start = settings.head_start()
    for step in range(settings.steps):
        learner.step = step
        if step == head_start:
            learner.calibrate()
        for group, rate in zip(optimizer.param_groups, learner.rates, strict=True):
            group["lr"] = rate * settings.rate(step)
        for parameter in optimizer.param_groups[1]["params"]:
            parameter.requires_grad_(step >= head_start)
        early = step < head_start
        source, size = learner.source, settings.batch * settings.episodes
        datasets = [source.plain(size)] if early else source.step(settings.episodes)
        terms = package.objective.objective(hypernetwork, state, *datasets, strength=learner.strength())
        optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        learner.clip(optimizer, learner.clip.norms(optimizer))
        optimizer.step()
        yield step


class Turns:
    """Processor time, counted for the one whose turn it is."""

    def __init__(self):
        self.spent: dict[str, float] = defaultdict(float)
        self.whose, self.since = "", time.process_time()

    def take(self, whose: str) -> None:
        now = time.process_time()
        self.spent[self.whose] += now - self.since
        self.whose, self.since = whose, now


def in_turn(package: ModuleType, data: object, settings: object) -> tuple[float, float, float]:
    """Seconds of the bare steps, of what a run takes beside its end, and of that."""
    turns, bare = Turns(), bare_steps(package, data, settings)

    class Run(package.training.Trainer):
        """As `python -m NAME.train` makes it, but for the bare steps in between."""

        def advance(self):
            if self.step % BLOCK == 0:
                turns.take("bare")
                for _ in itertools.islice(bare, BLOCK):
                    pass
                turns.take("run")
            return super().advance()

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        turns.take("run")
        Run(data, settings, folder).run()
        turns.take("end")
        Run(data, settings, folder).run()
        turns.take("")
    return turns.spent["bare"], turns.spent["run"] - turns.spent["end"], turns.spent["end"]


def measured(name: str, steps: int, rounds: int) -> str:
    """A row of the table."""
    make, examples = MODELS[name]
    torch.manual_seed(0)
    items = examples()
    with tempfile.TemporaryDirectory() as folder:
        package = hypergen.compile(make(), items[:16], out=Path(folder) / f"measured_{make.__name__.lower()}").load()
        data = package.data.Data((items,), torch.arange(len(items)) % 10)
        settings = package.settings.Settings(steps=steps)
        in_turn(package, data, settings._replace(steps=8))  # what is imported once is not the run's
        times = [in_turn(package, data, settings) for _ in range(rounds)]
    ratios = [whole / bare for bare, whole, _ in times]
    bare, whole, end = (sum(each) / rounds for each in zip(*times, strict=True))
    span = f"{min(ratios):.3f}, {max(ratios):.3f}"
    each = f"{1e3 * bare / steps:.2f} | {1e3 * whole / steps:.2f}"
    return f"| {name} | {each} | {whole / bare:.3f} | {span} | {end:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | bare step, ms | with everything, ms | ratio | lowest and highest | once, s |")
    print("|---|---|---|---|---|---|")
    for name in args.models:
        print(measured(name, args.steps, args.rounds), flush=True)


if __name__ == "__main__":
    main()
