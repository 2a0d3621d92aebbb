"""The experiment `autophagy` over its seeds: run side by side, kept as they finish, and put together."""

from __future__ import annotations

import multiprocessing
import platform
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hypergen_compiler.demo_data import digits, read_pictures
from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.evidence.autophagy.gaussians import gaussian_chains
from hypergen_compiler.evidence.autophagy.parts import Parts
from hypergen_compiler.evidence.autophagy.seed import FULL, QUICK, measured_seed
from hypergen_compiler.evidence.autophagy.statistics import averaged, differences
from hypergen_compiler.version import VERSION

__all__ = ["labelled_pictures", "measure"]

WORKERS = 2
LARGEST_SIDE = 16  # pictures of more pixels are halved


def labelled_pictures(path: Path | None) -> tuple[Tensor, Tensor]:
    """Pictures [n, 1, side, side] and labels [n] of a file, or scikit-learn's digits.

    Raises HG604 where they cannot be read or have no labels.
    """
    found = digits() if path is None else read_pictures(path)
    if found.labels is None:
        raise HyperGenError("HG604", f"{path}: no `labels`", remedy="Give an .npz with `images` and `labels`, [n].")
    pictures = found.tensor()
    if found.side > LARGEST_SIDE:
        pictures = F.avg_pool2d(pictures, 2)
    return pictures, torch.from_numpy(found.labels).long()


def measure(
    pictures: Tensor, labels: Tensor, progress: Progress, *, quick: bool = False, keep: Path | None = None
) -> dict[str, Any]:
    """Chains of pictures [n, 1, side, side] and of Gaussians: means over seeds, with standard errors.

    In the folder `keep` every part is written as soon as it is done, and a later run of the same settings takes it from
    there.
    """
    scale = QUICK if quick else FULL
    versions = {"hypergen": VERSION, "torch": torch.__version__, "python": platform.python_version()}
    kept = Parts(keep, {"versions": versions, "scale": asdict(scale), "data": fingerprint(pictures)})
    jobs: dict[str, tuple[Any, ...]] = {"gaussian": (gaussian_chains, scale.seeds, quick)}
    jobs |= {f"seed {seed}": (measured_seed, pictures, labels, scale, seed) for seed in scale.seeds}
    done = {name: found for name in jobs if (found := kept.find(name)) is not None}
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(*job): name for name, job in jobs.items() if name not in done}
        for future in as_completed(running):
            done[running[future]] = future.result()
            kept.keep(running[future], future.result())
            progress(f"{running[future]} is done, {len(done)} of {len(jobs)}")
    pictures_part = together([done[f"seed {seed}"] for seed in scale.seeds])
    return {"versions": versions, "quick": quick, **asdict(scale), **pictures_part, "gaussian": done["gaussian"]}


def fingerprint(pictures: Tensor) -> list[float]:
    return [*pictures.shape, pictures.double().mean().item(), pictures.double().std().item()]


def together(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of chains for each contestant, form and start, and what differs between contestants."""
    rows = [[seed["chains"][i] for seed in seeds] for i in range(len(seeds[0]["chains"]))]
    return {
        "classifier_accuracy": sum(seed["classifier"] for seed in seeds) / len(seeds),
        "settings": {name: [seed["settings"][name] for seed in seeds] for name in seeds[0]["settings"]},
        "chains": [averaged(row) for row in rows],
        "differences": differences(rows),
    }
