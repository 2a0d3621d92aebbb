"""The page about the benchmark: `docs/benchmarks.md`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.bandwidth import Emission
from benchmarks.cells import Cell
from benchmarks.measure import Row
from benchmarks.rivals import RIVALS
from hypergen_compiler.version import VERSION

__all__ = ["Machine", "machine", "page"]

INTRODUCTION = """\
# Benchmarks

Full training steps: zero_grad, forward, backward, optimizer. Every contender is timed right after the plain model,
turn by turn in one process on one thread; "x plain" is the median of the ratios of such pairs, with their quartiles.
The plain model has fused Adam and sees all items of a step in one batch, so that the samples are equal. "8 x 4" are
eight datasets of four items in a step, each with weights of its own.

- HyperGen's rows are emitted packages, with their own `objective` and `make_optimizer`. With penalty, real sampling
  and the reading of the samples included, at strength 1; the plain model has no penalty. One dataset in four carries
  it, as in a package's own training: with one dataset in a step it comes in every fourth, and the row is about four
  steps. What the training does around a step (data, clipping, averaging, the log) is not timed.
- Other libraries emit weights dataset by dataset and call the model with them. They are given fused Adam, and once
  more torch's default Adam where the row says so. Their penalty is the literal one, with one synthetic dataset for
  each real one.
- parameters: those that are trained, for each weight of the model
- memory: the peak within a step by torch's account, with parameters, moments and data; workspaces inside kernels do
  not count
"""

CELL_HEAD = """\
| | parameters | step | x plain | quartiles | memory | x plain |
|---|---|---|---|---|---|---|"""

EMISSION = """\
## Emission alone

`emit` of one embedding, against a copy of 256 MB that was timed in turn with it. GB/s are those of the fewest bytes
that could be moved: what the hypernetwork holds is read and the buffer written; the backward pass reads the buffer's
gradient and the parameters, and writes the parameters' gradient. What is computed from little, as by a chunked head,
is not bound by memory; a small buffer stays in the cache and can beat the copy.

| weights | head | parameters | forward | GB/s | of a copy | with backward | GB/s | of a copy |
|---|---|---|---|---|---|---|---|---|"""

NOT_MEASURED = """\
## Not measured

No GPU could be had: nothing here was run on one. `python -m benchmarks.gpu` does all of it where there is one; its
path on a CPU is tested.
"""


@dataclass(frozen=True)
class Machine:
    """What a page says about where its numbers come from; `load` is the number of busy processes at the start."""

    processor: str
    cores: int
    memory: int
    load: float


def machine() -> Machine:
    names = [line.partition(":")[2].strip() for line in read("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(names[0] if names else platform.machine(), os.cpu_count() or 1, memory, os.getloadavg()[0])


def read(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def page(rows: Sequence[Row], emissions: Sequence[Emission], here: Machine) -> str:
    """Introduction, machine and versions, a table for each cell with notes on what is missing, and emission alone."""
    parts = [INTRODUCTION, versions(here)]
    for cell in dict.fromkeys(row.cell for row in rows):
        parts.append(cell_table(cell, [row for row in rows if row.cell == cell]))
    if any(row.speed for row in rows):
        parts.insert(2, "![Steps of all contenders, times the plain model's](benchmarks.png)\n")
    if emissions:
        parts.append(EMISSION + "\n" + "\n".join(map(emission_row, emissions)) + "\n")
    return "\n".join([*parts, NOT_MEASURED])


def versions(here: Machine) -> str:
    names = sorted({rival.distribution for rival in RIVALS})
    found = {name: version for name in names if (version := installed(name)) is not None}
    others = ", ".join(f"{name} {version}" for name, version in found.items()) or "none of the other libraries"
    quiet = "nothing else ran" if here.load < 0.5 else "other work ran on it, which widens the quartiles"
    return (
        f"HyperGen {VERSION}, torch {torch.__version__.partition('+')[0]}, "
        f"Python {platform.python_version()}, {others}.\n"
        f"{platform.system()} {platform.machine()}, {here.processor}, {here.cores} cores, of which one was used, "
        f"{here.memory / 2**30:.0f} GiB. Load when the run began: {here.load:.1f} ({quiet}).\n"
    )


def installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def cell_table(cell: Cell, rows: Sequence[Row]) -> str:
    lines = [f"## {cell.title}", "", CELL_HEAD, *(table_row(row) for row in rows if row.speed)]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.speed is None:
            reasons.setdefault(row.skipped, []).append(row.name)
    if reasons:
        lines += ["", *(f"- not timed: {', '.join(names)} ({reason})" for reason, names in reasons.items())]
    return "\n".join(lines) + "\n"


def table_row(row: Row) -> str:
    spread = f"{row.speed.low:.2f} to {row.speed.high:.2f}" if row.name != "plain" else ""
    step, memory = f"{1000 * row.seconds:.1f} ms", f"{row.bytes / 1e6:.1f} MB"
    cells = [row.name, f"{row.copies:.2f}", step, f"{row.speed.median:.2f}", spread, memory, f"{row.memory:.2f}"]
    return f"| {' | '.join(cells)} |"


def emission_row(row: Emission) -> str:
    sizes = [f"{row.weights / 1e6:.1f} M", row.head, f"{row.parameters / 1e6:.1f} M"]
    forward = [f"{1000 * row.forward_seconds:.2f} ms", f"{row.forward:.1f}", f"{row.forward / row.copy:.2f}"]
    both = [f"{1000 * row.both_seconds:.2f} ms", f"{row.both:.1f}", f"{row.both / row.copy:.2f}"]
    return f"| {' | '.join([*sizes, *forward, *both])} |"
