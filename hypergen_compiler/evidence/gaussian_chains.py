"""Self-consuming chains of a Gaussian: what repeated estimation from own samples makes of a variance.

A chain starts at numbers of variance 1, estimates a Gaussian, draws as many numbers from it, and estimates again.
Estimators are closed forms or hypernetworks of packages that HyperGen compiled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.bias import STEPS, Cell, compiled, trained

__all__ = ["FORMS", "NUMBERS", "GaussianChain", "gaussian_chains", "next_data"]

NUMBERS = 20  # in a dataset
CHAINS, QUICK_CHAINS = 4000, 1000  # of each kind and seed
FORMS = ("synthetic", "with fixed real data", "with fresh real data")

Regenerate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GaussianChain:
    """Mean and median over chains of the data's unbiased variance, of which 1 is right, by generation.

    Each value is the mean over seeds, and has its standard error beside it. Generation 0 is real data.
    """

    estimator: str
    form: str
    mean: tuple[float, ...]
    mean_error: tuple[float, ...]
    median: tuple[float, ...]
    median_error: tuple[float, ...]


def gaussian_chains(progress: Progress, *, seeds: Sequence[int], generations: int, quick: bool) -> list[GaussianChain]:
    """Chains of every estimator in every form; hypernetworks are trained once a seed."""
    found: dict[tuple[str, str], list[Tensor]] = {}
    steps, chains = (STEPS // 3, QUICK_CHAINS) if quick else (STEPS, CHAINS)
    with tempfile.TemporaryDirectory(prefix="hypergen-gaussian-") as folder:
        cells = {name: Cell("gaussian-variance", NUMBERS, name, 10.0, (1.0, 0.0)) for name in ("none", "unbiased")}
        packages = {name: compiled(cell, Path(folder)) for name, cell in cells.items()}
        for seed in seeds:
            estimators = dict(CLOSED)
            for name, cell in cells.items():
                label = "hypernetwork" if name == "none" else f"hypernetwork, penalty {name}"
                estimators[label] = emitted(packages[name], trained(packages[name], cell, steps, seed))
            for label, regenerate in estimators.items():
                for form in FORMS:
                    torch.manual_seed(1_000_000 + seed)
                    run = chain(regenerate, form, chains, generations)
                    found.setdefault((label, form), []).append(run)
            progress(f"Gaussian chains: seed {seed}")
    return [summary(label, form, torch.stack(runs)) for (label, form), runs in found.items()]


def resampled(x: Tensor) -> Tensor:
    """Numbers drawn from the data themselves: what sampling alone does."""
    return x.gather(1, torch.randint(x.shape[1], x.shape))


def most_likely(x: Tensor) -> Tensor:
    return normal(x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True))


def unbiased(x: Tensor) -> Tensor:
    return normal(x.mean(1, keepdim=True), x.var(1, keepdim=True))


def normal(mean: Tensor, variance: Tensor) -> Tensor:
    """[m, 1], [m, 1] -> [m, NUMBERS]"""
    return mean + variance.sqrt() * torch.randn(len(mean), NUMBERS)


CLOSED: dict[str, Regenerate] = {
    "resampling": resampled,
    "maximum likelihood": most_likely,
    "sample variance": unbiased,
}


def emitted(package: SimpleNamespace, hypernetwork: torch.nn.Module) -> Regenerate:
    """Samples of the model under the weights that a hypernetwork emits for each dataset."""
    state = package.weights.State()

    @torch.no_grad()
    def regenerate(x: Tensor) -> Tensor:
        embeddings = hypernetwork.embed_together((x.flatten(),), len(x))
        weights = hypernetwork.emit_together(embeddings)
        return package.model.sample(weights, state, x.numel()).view_as(x)

    return regenerate


def chain(regenerate: Regenerate, form: str, chains: int, generations: int) -> Tensor:
    """The mean and the median over chains of the data's variance, [generations + 1, 2]

    What is measured is the synthetic data of a generation, also where it is mixed with real data for the next.
    """
    real = torch.randn(chains, NUMBERS)
    data, rows = real, [variances(real)]
    for _ in range(generations):
        synthetic = regenerate(data)
        rows.append(variances(synthetic))
        fresh = torch.randn(chains, NUMBERS) if form == FORMS[2] else real
        data = next_data(form, synthetic, fresh)
    return torch.stack(rows)


def next_data(form: str, synthetic: Tensor, real: Tensor) -> Tensor:
    """What the next generation reads, as many items [m, n, ...] as before: all synthetic, or half of them real."""
    if form == FORMS[0]:
        return synthetic
    half = synthetic.shape[1] // 2
    return torch.cat([real[:, :half], synthetic[:, : synthetic.shape[1] - half]], dim=1)


def variances(x: Tensor) -> Tensor:
    found = x.double().var(1)
    return torch.stack([found.mean(), found.median()])


def summary(estimator: str, form: str, runs: Tensor) -> GaussianChain:
    """From [seeds, generations + 1, 2]"""
    means, errors = runs.mean(0), runs.std(0) / len(runs) ** 0.5
    columns = [tuple(column.tolist()) for values in (means, errors) for column in values.unbind(1)]
    return GaussianChain(
        estimator, form, mean=columns[0], median=columns[1], mean_error=columns[2], median_error=columns[3]
    )
