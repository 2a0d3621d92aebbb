"""The page about a GPU: checks, steps and emission, as `python -m benchmarks.gpu` found them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from benchmarks.bandwidth import Emission
from benchmarks.report import EMISSION, emission_row

if TYPE_CHECKING:
    from benchmarks.gpu import GpuRow

__all__ = ["gpu_page"]

HEAD = """\
| target | datasets | head | kind | loss apart | gradient apart | step | x plain | quartiles |
|---|---|---|---|---|---|---|---|---|"""


def gpu_page(rows: Sequence[GpuRow], emissions: Sequence[Emission], device: torch.device) -> str:
    """Tables of steps and of emission, and what could not be run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU: a rehearsal on the CPU"
    timed = [row for row in rows if row.speed]
    lines = ["# Emitted packages on a GPU", "", f"torch {torch.__version__.partition('+')[0]}, {name}.", "", HEAD]
    lines += [*map(step_row, timed), ""]
    missing = [row for row in rows if row.speed is None]
    lines += [not_run(reason, missing) for reason in dict.fromkeys(row.reason for row in missing)]
    lines += [""] if missing else []
    lines += [EMISSION, *map(emission_row, emissions)] if emissions else []
    return "\n".join(lines).rstrip() + "\n"


def not_run(reason: str, rows: Sequence[GpuRow]) -> str:
    mine = [row for row in rows if row.reason == reason]
    heads, kinds = dict.fromkeys(row.head for row in mine), dict.fromkeys(row.kind for row in mine)
    return f"- not run: {', '.join(heads)} in {', '.join(kinds)} ({reason})"


def step_row(row: GpuRow) -> str:
    apart = [f"{row.loss_apart:.1e}", f"{row.gradient_apart:.1e}"]
    speed = [f"{1000 * row.seconds:.2f} ms", f"{row.speed.median:.2f}", f"{row.speed.low:.2f} to {row.speed.high:.2f}"]
    return f"| {' | '.join([row.target, str(row.datasets), row.head, row.kind, *apart, *speed])} |"
