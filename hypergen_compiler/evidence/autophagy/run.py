"""The experiment `autophagy` over its seeds: run side by side, kept as they finish, and put together."""

from __future__ import annotations

import json
import multiprocessing
import platform
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch

from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.autophagy.field import PARTS, usual_of
from hypergen_compiler.evidence.autophagy.gaussians import gaussian_chains
from hypergen_compiler.evidence.autophagy.seed import measured_seed
from hypergen_compiler.evidence.autophagy.setting import FULL, QUICK
from hypergen_compiler.evidence.autophagy.statistics import averaged, differences
from hypergen_compiler.evidence.groups import pictures
from hypergen_compiler.evidence.kept import Kept
from hypergen_compiler.version import VERSION

__all__ = ["measure"]

WORKERS = 2


def measure(data: Path | None, progress: Progress, *, quick: bool = False, out: Path | None = None) -> dict[str, Any]:
    """Chains of pictures, a file's or scikit-learn's digits, and of Gaussians: means over seeds, with standard errors.

    In the folder `out` every part is written as soon as it is done, and a later run of the same settings takes it from
    there, plain trainings also where packages have come to train otherwise. Raises HG604 where the data cannot be read
    or have no labels.
    """
    scale = QUICK if quick else FULL
    name, found = pictures(data)
    images, labels = found.images, found.labels
    versions = {"hypergen": VERSION, "torch": torch.__version__, "python": platform.python_version()}
    experiment = json.dumps({"versions": versions, "scale": asdict(scale), "data": [name, *images.shape]})
    kept = Kept(None if out is None else out / "autophagy.partial", experiment)
    jobs: dict[str, tuple[Any, ...]] = {"gaussian": (gaussian_chains, scale.seeds, quick)}
    for part, seed in product(PARTS, scale.seeds):
        jobs[f"seed {seed}, {part}"] = (measured_seed, images, labels, scale, seed, part)
    recipe = json.dumps(usual_of(images.shape[-1]))
    parts = {job: job if job.endswith("plain") else f"{job}, {recipe}" for job in jobs}
    done = {job: found for job, part in parts.items() if (found := kept.known(part)) is not None}
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(*call): job for job, call in jobs.items() if job not in done}
        for future in as_completed(running):
            done[running[future]] = kept.add(parts[running[future]], future.result())
            progress(f"{running[future]} is done, {len(done)} of {len(jobs)}")
    kept.forget()
    about = {"data": name, "versions": versions, "quick": quick, **asdict(scale), "gaussian": done["gaussian"]}
    return about | together([[done[f"seed {seed}, {part}"] for part in PARTS] for seed in scale.seeds])


def together(seeds: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """One row of chains for each contestant, form and start, and what differs between contestants; of every seed there
    are several parts."""
    chains = [[row for part in parts for row in part["chains"]] for parts in seeds]
    rows = list(zip(*chains, strict=True))
    settings = [{name: how for part in parts for name, how in part["settings"].items()} for parts in seeds]
    return {
        "classifier_accuracy": sum(parts[0]["classifier"] for parts in seeds) / len(seeds),
        "settings": {name: [own[name] for own in settings] for name in settings[0]},
        "chains": [averaged(row) for row in rows],
        "differences": differences(rows),
    }
