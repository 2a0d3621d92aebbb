"""What each head learns, and whether its samples follow the data:  python -m benchmarks.quality

The bundled VAE on scikit-learn's digits of 8x8 pixels. Every contender trains with as many steps on as many items; the
plain model with the best of RATES, chosen by the held-out loss of seed 0. Rows are written to quality.md and .json.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import hypergen_compiler as hypergen
from hypergen_compiler.examples import ConvVAE

__all__ = ["Row", "Run", "share_slope", "table"]

HEADS = ("biases", "low-rank", "chunked")
RATES = (1e-3, 3e-3, 1e-2)
EPISODES, ITEMS = 4, 64
TRAINED = 1400  # digits; the others are held out
MIXTURES, SAMPLES = 40, 512


@dataclass(frozen=True)
class Digits:
    """Images [n, 1, 8, 8] between 0 and 1 and their labels [n], divided the same way each time."""

    images: Tensor
    labels: Tensor
    held_out: Tensor

    @classmethod
    def load(cls) -> Digits:
        pixels, labels = load_digits(return_X_y=True)
        images = torch.tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        trained = order[:TRAINED]
        return cls(images[trained], torch.tensor(labels)[trained], images[order[TRAINED:]])


@dataclass(frozen=True)
class Run:
    """One training: the loss in nats per held-out image, how generated class shares follow given ones (1 is exactly, 0
    not at all), and milliseconds of a step."""

    contender: str
    seed: int
    rate: float
    loss: float
    slope: float
    milliseconds: float


def train_plain(digits: Digits, steps: int, rate: float, seed: int) -> Run:
    """The model itself, on minibatches of all items of a step, with the learning rate falling by a cosine."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = ConvVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    start = time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * max(0.05, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = torch.randint(len(digits.images), (EPISODES * ITEMS,))
        optimizer.zero_grad(set_to_none=True)
        model.loss(digits.images[rows]).backward()
        optimizer.step()
    spent = 1e3 * (time.process_time() - start) / steps
    model.eval()
    with torch.no_grad():
        loss = statistics.mean(model.loss(digits.held_out).item() for _ in range(20))
        slope = share_slope(digits, lambda dataset: model.sample(SAMPLES))
    return Run("plain", seed, rate, loss, slope, spent)


def train_head(folder: str, head: str, digits: Digits, steps: int, seed: int) -> Run:
    """A compiled package by its own training loop, with its own settings."""
    torch.set_num_threads(1)
    package = loaded(Path(folder))
    settings = package.training.Settings(steps=steps, batch=ITEMS, episodes=EPISODES, seed=seed)
    run = package.training.Trainer(package.data.Data((digits.images,), digits.labels), settings)
    start = time.process_time()
    while run.step < steps:
        run.advance()
    spent = 1e3 * (time.process_time() - start) / steps

    def emitted(dataset: Tensor) -> object:
        return package.weights.unpack(run.hypernetwork((dataset,)))

    with torch.no_grad():
        weights = emitted(digits.images)
        losses = [package.model.loss(weights, run.state, digits.held_out).item() for _ in range(20)]
        slope = share_slope(digits, lambda dataset: package.model.sample(emitted(dataset), run.state, SAMPLES))
    return Run(head, seed, settings.lr, statistics.mean(losses), slope, spent)


def loaded(folder: Path) -> ModuleType:
    from hypergen_compiler.package import import_package

    return import_package(folder, folder.name)


def share_slope(digits: Digits, sample) -> float:
    """The slope of generated class shares over those of the datasets that weights were emitted for.

    Datasets are MIXTURES random mixtures of the classes (Dirichlet .3); a classifier of real digits counts samples.
    """
    classifier = LogisticRegression(max_iter=2000).fit(digits.images.flatten(1).numpy(), digits.labels.numpy())
    generator = torch.Generator().manual_seed(5)
    given, made = [], []
    for _ in range(MIXTURES):
        shares = torch._sample_dirichlet(torch.full((10,), 0.3), generator=generator)
        classes = torch.multinomial(shares, SAMPLES, replacement=True, generator=generator)
        rows = [torch.where(digits.labels == one)[0] for one in range(10)]
        picked = [rows[one][torch.randint(len(rows[one]), (), generator=generator)] for one in classes.tolist()]
        samples = sample(digits.images[torch.stack(picked)]).clamp(0, 1).flatten(1).numpy()
        given.append(torch.bincount(classes, minlength=10) / SAMPLES)
        made.append(torch.bincount(torch.tensor(classifier.predict(samples)), minlength=10) / SAMPLES)
    wanted, got = torch.cat(given), torch.cat(made)
    return (((wanted - wanted.mean()) * (got - got.mean())).sum() / (wanted - wanted.mean()).square().sum()).item()


@dataclass(frozen=True)
class Row:
    """A contender over its seeds: means and standard errors."""

    contender: str
    rate: float
    loss: tuple[float, float]
    slope: tuple[float, float]
    milliseconds: float


def summarize(runs: list[Run]) -> Row:
    def over_seeds(values: list[float]) -> tuple[float, float]:
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
        return statistics.mean(values), error

    return Row(
        runs[0].contender,
        runs[0].rate,
        over_seeds([run.loss for run in runs]),
        over_seeds([run.slope for run in runs]),
        statistics.median(run.milliseconds for run in runs),
    )


def table(rows: list[Row], steps: int, seeds: int) -> str:
    """A page of Markdown."""
    lines = [
        "# What each head learns",
        "",
        f"Written by `python -m benchmarks.quality`, torch {torch.__version__.partition('+')[0]}: the bundled VAE on",
        f"scikit-learn's digits of 8x8 pixels, {steps:,} steps of {EPISODES} datasets of {ITEMS} images, the plain",
        f"model on as many images a step. {seeds} seeds, means with standard errors. The share slope tells how the",
        "class shares of samples follow those of the dataset that weights were emitted for: 1 is exactly, 0 is not at",
        "all. Milliseconds are of processor time.",
        "",
        "| contender | held-out loss, nats | share slope | ms a step | over plain |",
        "|---|---|---|---|---|",
    ]
    plain = rows[0].milliseconds
    for row in rows:
        name = f"plain, learning rate {row.rate:g}" if row.contender == "plain" else row.contender
        loss, slope = (f"{mean:.2f} ± {error:.2f}" for mean, error in (row.loss, row.slope))
        lines.append(f"| {name} | {loss} | {slope} | {row.milliseconds:.1f} | {row.milliseconds / plain:.2f} |")
    return "\n".join([*lines, ""])


def trained(steps: int, seeds: int, workers: int) -> Iterator[Row]:
    digits = Digits.load()
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        tuning = [pool.submit(train_plain, digits, steps, rate, 0) for rate in RATES]
        heads = {}
        for head in HEADS:
            torch.manual_seed(0)
            folder = Path(scratch) / f"quality_{head.replace('-', '_')}"
            hypergen.compile(ConvVAE(), lambda n: torch.rand(n, 1, 8, 8), out=folder, head=head)
            heads[head] = [pool.submit(train_head, str(folder), head, digits, steps, seed) for seed in range(seeds)]
        best = min((run.result() for run in tuning), key=lambda run: run.loss)
        plain = [pool.submit(train_plain, digits, steps, best.rate, seed) for seed in range(1, seeds)]
        yield summarize([best, *(run.result() for run in plain)])
        for runs in heads.values():
            yield summarize([run.result() for run in runs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, one thread each")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    args = parser.parse_args()
    rows = []
    for row in trained(args.steps, args.seeds, args.workers):
        print(row, file=sys.stderr)
        rows.append(row)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "quality.md").write_text(table(rows, args.steps, args.seeds))
    (args.out / "quality.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
