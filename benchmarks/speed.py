"""Times HyperGen's packages, other libraries' hypernetworks and the plain model:

    python -m benchmarks.speed [--quick] [--targets NAME ...] [--out docs]

Full training steps (zero_grad, forward, backward, optimizer) on one thread, and emission alone against a copy of
memory. Writes benchmarks.md and benchmarks.png to the folder --out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages; torch reads this at its import

import torch

from benchmarks.bandwidth import Emission, measure_emission
from benchmarks.cells import Cell, cells, head_entry, head_jobs, rival_entries
from benchmarks.heads import HEADS, Compiled, Head, Job, compile_all
from benchmarks.measure import Row, measure
from benchmarks.memory import available_bytes
from benchmarks.plot import plot
from benchmarks.report import machine, page
from benchmarks.rivals import RIVALS, Rival, missing
from benchmarks.targets import TARGETS

__all__ = ["main", "run_cells", "run_emissions"]

QUICK_SECONDS, FULL_SECONDS = 0.6, 1.0  # for each contender of a cell
QUICK_TARGETS = ("conv_vae", "unet")
QUICK_RIVALS = ("torchhyper", "hypnettorch chunked")
QUICK_LAYERS, FULL_LAYERS = (1, 10), (1, 10, 100)  # of a million weights each, to time emission alone
STEP_HEADS = ("default", "biases and gains", "low rank 8", "chunked with base")  # the quality page has others' steps
EMISSION_HEADS = ("default", "low rank 4", "chunked with base", "chunked alone")
BYTES_PER_WEIGHT = 100  # of a package of rank 4: parameters, gradients, the buffer, and what its verification holds


def run_cells(
    found: Sequence[Cell],
    heads: Sequence[Head],
    compiled: Mapping[Job, Compiled],
    rivals: Sequence[Rival],
    seconds: float,
    quick: bool = False,
) -> list[Row]:
    """Rows of all cells; a package that is not there, or a rival that is not installed, is a row that says why.

    A quick run times rivals with one dataset only: with eight, one step of theirs takes seconds.
    """
    rows, start = [], time.monotonic()
    absent = {rival.name: reason for rival in rivals if (reason := missing(rival)) is not None}
    present = [rival for rival in rivals if rival.name not in absent]
    for cell in found:
        mine = [compiled[job] for job in head_jobs(cell, heads)]
        entries = [head_entry(cell, one.job, one.path) for one in mine if one.path is not None]
        weights = sum(parameter.numel() for parameter in cell.target.make().parameters())
        others = [] if quick and cell.datasets > 1 else rival_entries(cell, weights, present)
        rows += measure(cell, [*entries, *others], seconds)
        rows += [Row(cell, one.job.head.name, skipped=one.reason) for one in mine if one.path is None]
        rows += [Row(cell, name, skipped=reason) for name, reason in absent.items()]
        say(f"{cell.title}: timed", start)
    return rows


def say(what: str, start: float) -> None:
    print(f"{what} after {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def emission_jobs(heads: Sequence[Head], layers: Sequence[int]) -> list[Job]:
    """Of the sizes that this machine's memory holds; the largest with a small head alone."""
    fitting = [count for count in layers if count * 10**6 * BYTES_PER_WEIGHT < available_bytes()]
    wanted = [head for head in heads if head.name in EMISSION_HEADS]
    return [Job(head, layers=count) for count in fitting for head in wanted if count < 100 or head.name != "default"]


def run_emissions(jobs: Sequence[Job], compiled: Mapping[Job, Compiled], seconds: float) -> list[Emission]:
    paths = [(job.head.name, compiled[job].path) for job in jobs]
    return [measure_emission(name, path, seconds) for name, path in paths if path is not None]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time HyperGen's packages, other libraries' and the plain model.")
    parser.add_argument("--quick", action="store_true", help="two targets, two rivals, short turns")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), help="only these")
    parser.add_argument("--out", type=Path, help="folder of benchmarks.md and .png; by default the page is printed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of libraries that are no longer maintained
    here = machine()
    names = options.targets or (QUICK_TARGETS if options.quick else list(TARGETS))
    found = [cell for name in names for cell in cells(TARGETS[name], options.quick)]
    rivals = [rival for rival in RIVALS if rival.name in QUICK_RIVALS or not options.quick]
    seconds = QUICK_SECONDS if options.quick else FULL_SECONDS
    alone = emission_jobs(HEADS, QUICK_LAYERS if options.quick else FULL_LAYERS)
    heads = [head for head in HEADS if head.name in STEP_HEADS]
    jobs = dict.fromkeys([job for cell in found for job in head_jobs(cell, heads)] + alone)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        compiled = {one.job: one for one in compile_all(list(jobs), Path(folder))}
        say(f"{len(jobs)} packages: compiled", start)
        rows = run_cells(found, heads, compiled, rivals, seconds, options.quick)
        emissions = run_emissions(alone, compiled, seconds)
    text = page(rows, emissions, here)
    if options.out is None:
        print(text, end="")
    else:
        (options.out / "benchmarks.md").write_text(text)
        plot(rows, options.out / "benchmarks.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
