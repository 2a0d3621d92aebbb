"""Everything that is to be known of emitted packages on a GPU, in one command:

    python -m benchmarks.gpu [--device cuda] [--targets NAME ...] [--out PAGE]

For each target and head: loss and gradients against the plain model's, full training steps in float32, under bfloat16
autocast, compiled by torch.compile and replayed as a CUDA graph, each against the plain model's own step of the same
kind, and emission alone against a copy of the device's memory. With --device cpu it runs the same code on less data,
compiles with the backend aot_eager, and leaves CUDA graphs out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.bandwidth import Emission, measure_emission
from benchmarks.gpu_page import gpu_page
from benchmarks.gpu_steps import KINDS, Unsupported, prepared
from benchmarks.heads import HEADS, Compiled, Head, Job, compile_all
from benchmarks.steps import Ratio, ratio, time_pairs
from benchmarks.targets import TARGETS, Target

__all__ = ["GpuRow", "main", "measure_target"]

LAYERS = (1, 10, 100)  # of a million weights each, to time emission alone
SECONDS = 2.0


@dataclass(frozen=True)
class GpuRow:
    """One head of a target in one kind of step, or the reason why not; `failed` where that was not to be expected.

    `loss_apart` and `gradient_apart` are the differences from the plain model's, relative to the largest value.
    """

    target: str
    head: str
    kind: str
    datasets: int
    loss_apart: float = 0.0
    gradient_apart: float = 0.0
    speed: Ratio | None = None
    seconds: float = 0.0
    reason: str = ""
    failed: bool = False


def measure_target(
    target: Target, compiled: Sequence[Compiled], device: torch.device, items: int, seconds: float
) -> list[GpuRow]:
    """Rows of all heads and kinds, for one dataset of `items` and for eight that hold as many together."""
    rows = []
    for datasets in (1, 8):
        data = [target.data(max(2, items // datasets)).to(device) for _ in range(datasets)]
        for kind in KINDS:
            for one in compiled:
                rows.append(measure_one(target, one, kind, data, seconds))
    return rows


def measure_one(target: Target, one: Compiled, kind: str, data: Sequence[torch.Tensor], seconds: float) -> GpuRow:
    found = (target.title, one.job.head.name, kind, len(data))
    if one.path is None:
        return GpuRow(*found, reason=one.reason)
    try:
        pair = prepared(target.make(), one.path, kind, data)
        times = time_pairs(pair.plain, {"own": pair.own}, seconds)["own"]
    except Unsupported as error:
        return GpuRow(*found, reason=str(error))
    except Exception as error:  # the other rows are worth having, and the machine may be lent for minutes
        return GpuRow(*found, reason=f"{type(error).__name__}: {error}".splitlines()[0][:200], failed=True)
    middle = sorted(times.own)[len(times.own) // 2]
    return GpuRow(*found, pair.loss_apart, pair.gradient_apart, ratio(times), middle)


def measure_emissions(found: Sequence[Compiled], device: torch.device, seconds: float) -> list[Emission]:
    return [measure_emission(one.job.head.name, one.path, seconds, device) for one in found if one.path is not None]


def main(arguments: Sequence[str] | None = None, heads: Sequence[Head] = HEADS) -> int:
    """1 where there is no such device, or a step failed on it."""
    options = parsed(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no GPU here: --device cpu runs the same code, compiled by aot_eager", file=sys.stderr)
        return 1
    rows: list[GpuRow] = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = {name: [Job(head, name) for head in heads] for name in options.targets}
        alone = [Job(head, layers=count) for count in options.layers for head in heads if fits(head, count)]
        every = [*(job for found in jobs.values() for job in found), *alone]
        compiled = {one.job: one for one in compile_all(every, Path(folder))}
        for name, found in jobs.items():
            target, packages = TARGETS[name], [compiled[job] for job in found]
            rows += measure_target(target, packages, device, options.items or target.items, options.seconds)
        emissions = measure_emissions([compiled[job] for job in alone], device, options.seconds)
    text = gpu_page(rows, emissions, device)
    options.out.write_text(text) if options.out else print(text, end="")
    return int(any(row.failed for row in rows))


def fits(head: Head, millions: int) -> bool:
    """At 100 million weights the small low-rank head alone is tried: compiling them takes minutes each."""
    return millions < 100 or head.name == "low rank 4"


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check and time emitted packages on a GPU.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--layers", nargs="*", type=int, default=LAYERS, help="millions of weights to emit alone")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each row")
    parser.add_argument("--items", type=int, help="in a step, by default those of the CPU benchmark")
    parser.add_argument("--out", type=Path, help="the page to write; by default it is printed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
