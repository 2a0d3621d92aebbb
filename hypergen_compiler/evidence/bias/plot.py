"""How estimates are distributed around the truth: every penalty beside maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hypergen_compiler.evidence.bias.experiment import EDGES, Row
from hypergen_compiler.evidence.plots import figure

__all__ = ["draw"]


def draw(path: Path, rows: Sequence[Row]) -> None:
    """One panel for each model that has a row without a penalty, with all rows of that model and its n."""
    panels = [row for row in rows if row.penalty == "none"]
    drawing = figure(4.5 * len(panels), 3.8)
    for axes, reference in zip(drawing.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for row in rows:
            if (row.model, row.n) == (reference.model, reference.n):
                label = "maximum likelihood" if row.penalty == "none" else row.penalty
                steps = axes.stairs(density(row), EDGES, label=f"{label}, mean {row.ratio:.3f}")
                axes.axvline(row.ratio, color=steps.get_edgecolor(), linestyle=":", linewidth=1)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(f"{reference.model}, n = {reference.n}")
        axes.set_xlabel("estimate / truth")
        axes.set_ylabel("density")
        axes.legend(fontsize=8)
    drawing.savefig(path, metadata={"Software": None})


def density(row: Row) -> list[float]:
    return [part / (right - left) for part, (left, right) in zip(row.histogram, pairwise(EDGES), strict=True)]
