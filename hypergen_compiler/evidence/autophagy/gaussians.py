"""Self-consuming chains of a Gaussian: what repeated estimation from own samples makes of a variance.

A chain starts at numbers of variance 1, estimates a Gaussian, draws as many numbers from it, and estimates again.
Estimators are closed forms or hypernetworks of packages that HyperGen compiled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from hypergen_compiler.evidence.autophagy.chains import FORMS, Regenerate, next_data
from hypergen_compiler.evidence.autophagy.statistics import HYPERNETWORK, PENALISED, rounded
from hypergen_compiler.evidence.bias.experiment import QUICK_STEPS, STEPS, Cell, compiled, trained
from hypergen_compiler.evidence.measures import deviation

__all__ = ["GENERATIONS", "NUMBERS", "gaussian_chains"]

NUMBERS = 20  # in a dataset
GENERATIONS = 50
CHAINS, QUICK_CHAINS = 4000, 1000  # of each kind and seed


def gaussian_chains(seeds: Sequence[int], quick: bool) -> list[dict[str, Any]]:
    """Chains of every estimator in every form; hypernetworks are trained once a seed."""
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[Tensor]] = {}
    steps, chains = (QUICK_STEPS, QUICK_CHAINS) if quick else (STEPS, CHAINS)
    with tempfile.TemporaryDirectory(prefix="hypergen-gaussian-") as folder:
        cells = {name: Cell("gaussian-variance", NUMBERS, name, 10.0, (1.0, 0.0)) for name in ("none", "unbiased")}
        packages = {name: compiled(cell, Path(folder)) for name, cell in cells.items()}
        for seed in seeds:
            estimators = dict(CLOSED)
            for name, cell in cells.items():
                label = HYPERNETWORK if name == "none" else PENALISED
                estimators[label] = emitted(packages[name], trained(packages[name], cell, steps, seed))
            for label, regenerate in estimators.items():
                for form in FORMS:
                    torch.manual_seed(1_000_000 + seed)
                    found.setdefault((label, form), []).append(chain(regenerate, form, chains))
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


def chain(regenerate: Regenerate, form: str, chains: int) -> Tensor:
    """The mean and the median over chains of the data's variance, [GENERATIONS + 1, 2]

    What is measured is the synthetic data of a generation, also where it is mixed with real data for the next.
    """
    real = torch.randn(chains, NUMBERS)
    data, rows = real, [variances(real)]
    for _ in range(GENERATIONS):
        synthetic = regenerate(data)
        rows.append(variances(synthetic))
        fresh = torch.randn(chains, NUMBERS) if form == FORMS[2] else real
        data = next_data(form, synthetic.T, fresh.T).T
    return torch.stack(rows)


def variances(x: Tensor) -> Tensor:
    found = x.double().var(1)
    return torch.stack([found.mean(), found.median()])


def summary(estimator: str, form: str, runs: Tensor) -> dict[str, Any]:
    """Means and standard errors over seeds of [seeds, generations + 1, 2]"""
    found: dict[str, Any] = {"contestant": estimator, "form": form}
    for i, name in enumerate(("mean", "median")):
        columns = [deviation(column) for column in runs[:, :, i].T.tolist()]
        found[name], found[f"{name}_error"] = (
            [rounded(value) for value in part] for part in zip(*columns, strict=True)
        )
    return found
