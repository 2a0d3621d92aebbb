"""The experiment `bias`: amortized estimators that HyperGen compiles, under every penalty.

A hypernetwork is trained over many datasets of a few numbers and emits the parameters of a statistical model for each.
Trained by likelihood alone it has the bias of maximum likelihood; what the penalties make of that is measured.
"""

from __future__ import annotations

import math
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from hypergen_compiler.api import compile as compile_model
from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.bias.estimators import MODELS

__all__ = ["CELLS", "EDGES", "Cell", "Row", "measure"]

WORKERS = 2
STEPS, QUICK_STEPS = 1500, 300
SEEDS, QUICK_SEEDS = 5, 2
DATASETS = 128  # in a step
TESTED = 40_000  # datasets that a trained hypernetwork is measured on
LIKELIHOOD_ALONE = 0.4  # of the steps; then the penalty grows over a tenth of them
LR = 0.12
WIDER = 3.0  # the truths that are trained on reach so much further, or those at the edge would be pulled from it
LARGEST_GRADIENT = 5.0
EDGES = tuple(i / 20 for i in range(61))  # of the bins that estimates over truth are counted in


@dataclass(frozen=True)
class Cell:
    """What is trained: a model of `MODELS` on datasets of `n` numbers with a penalty; `expected` is its ratio."""

    model: str
    n: int
    penalty: str
    strength: float
    expected: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """The mean of estimate over truth, its standard error over seeds, the root mean square of estimate over truth
    minus one, and the part of the estimates in each bin between `EDGES`."""

    model: str
    n: int
    penalty: str
    strength: float
    ratio: float
    standard_error: float
    relative_rmse: float
    histogram: tuple[float, ...]


CELLS = (
    Cell("gaussian-variance", 5, "none", 0.0, (0.80, 0.01)),
    Cell("gaussian-variance", 5, "literal", 10.0, (0.68, 0.02)),
    Cell("gaussian-variance", 5, "mean", 10.0, (0.889, 0.015)),
    Cell("gaussian-variance", 5, "unbiased", 10.0, (1.0, 0.02)),
    Cell("gaussian-variance", 2, "unbiased", 10.0, (1.0, 0.03)),
    Cell("gaussian-variance", 10, "unbiased", 10.0, (1.0, 0.03)),
    Cell("gaussian-variance", 20, "unbiased", 10.0, (1.0, 0.03)),
    Cell("exponential-rate", 5, "none", 0.0, (1.25, 0.02)),
    Cell("exponential-rate", 5, "lagrangian", 1.0, (1.0, 0.02)),
    Cell("uniform-bound", 5, "none", 0.0, (0.833, 0.01)),
    Cell("uniform-bound", 5, "lagrangian", 10.0, (1.0, 0.01)),
)


def measure(cells: Sequence[Cell], progress: Progress, *, quick: bool = False) -> list[Row]:
    """Compiles, trains and measures every cell over several seeds, two cells at a time; one row each, in order."""
    context = multiprocessing.get_context("spawn")
    rows = []
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        for cell, found in zip(cells, pool.map(partial(measured, quick=quick), cells), strict=True):
            progress(f"{cell.model}, n = {cell.n}, penalty {cell.penalty}: ratio {found.ratio:.3f}")
            rows.append(found)
    return rows


def measured(cell: Cell, quick: bool = False) -> Row:
    """One cell, in a process of its own with one thread: the tensors are small."""
    torch.set_num_threads(1)
    steps, seeds = (QUICK_STEPS, QUICK_SEEDS) if quick else (STEPS, SEEDS)
    with tempfile.TemporaryDirectory(prefix="hypergen-bias-") as folder:
        package = compiled(cell, Path(folder))
        return row(cell, [tested(package, cell, trained(package, cell, steps, seed)) for seed in range(seeds)])


def compiled(cell: Cell, folder: Path) -> SimpleNamespace:
    """The package of a cell's model and penalty, imported."""
    model = MODELS[cell.model]
    name = f"{model.__name__.lower()}_{cell.penalty}"
    package = compile_model(model(), lambda n: (torch.rand(n),), out=folder / name, head="biases", penalty=cell.penalty)
    return package.load()


def trained(package: SimpleNamespace, cell: Cell, steps: int, seed: int) -> torch.nn.Module:
    """A hypernetwork of the package, trained by its own objective over fresh datasets.

    What is the same for all datasets is learned from the likelihood alone: left free under a penalty that charges for
    variance, the base replaces the estimate.
    """
    torch.manual_seed(seed)
    model = MODELS[cell.model]
    draw = partial(model.datasets, n=cell.n, largest=WIDER * model.largest)
    hypernetwork, state = package.hypernetwork.Hypernetwork(), package.weights.State()
    hypernetwork.encoder.calibrate(list(draw(DATASETS)[1]))
    optimizer = package.optimizer.make_optimizer(hypernetwork, LR)
    rates = [group["lr"] for group in optimizer.param_groups]
    shared, _ = hypernetwork.groups()
    for step in range(steps):
        since = step / steps - LIKELIHOOD_ALONE
        for parameter in shared:
            parameter.requires_grad_(since < 0)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * max(0.02, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        datasets = draw(DATASETS)[1].unbind()
        strength = cell.strength * min(1.0, max(0.0, 10 * since))
        terms = package.objective.objective(hypernetwork, state, *datasets, strength=strength)
        optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(hypernetwork.parameters(), LARGEST_GRADIENT)
        optimizer.step()
    return hypernetwork


@torch.no_grad()
def tested(package: SimpleNamespace, cell: Cell, hypernetwork: torch.nn.Module) -> Tensor:
    """The mean of estimate over truth, the root mean square of its distance from one, and its histogram."""
    torch.manual_seed(1_000_000)
    model = MODELS[cell.model]
    truth, numbers = model.datasets(TESTED, cell.n, model.largest)
    embeddings = hypernetwork.embed_together((numbers.flatten(),), TESTED)
    ratio = estimates(package, hypernetwork.emit(embeddings), model.quantity) / truth
    histogram = torch.histogram(ratio.double(), torch.tensor(EDGES, dtype=torch.float64)).hist / TESTED
    return torch.cat([torch.stack([ratio.mean(), (ratio - 1).square().mean().sqrt()]).double(), histogram])


def estimates(package: SimpleNamespace, emitted: Tensor, quantity: str) -> Tensor:
    """One weight of each emission, [m, SIZE] -> [m]"""
    offset = next(offset for name, _, offset in package.weights.LAYOUT if name == quantity)
    return emitted[:, offset]


def row(cell: Cell, results: list[Tensor]) -> Row:
    found = torch.stack(results)
    ratio, rmse, *histogram = found.mean(0).tolist()
    settings = {name: value for name, value in asdict(cell).items() if name != "expected"}
    error = (found[:, 0].std() / len(results) ** 0.5).item()
    return Row(
        **settings,
        ratio=ratio,
        standard_error=error,
        relative_rmse=rmse,
        histogram=tuple(round(part, 6) for part in histogram),
    )
