"""The picture of the experiment `fairness`: what is generated against what is requested."""

from __future__ import annotations

from pathlib import Path

from hypergen_compiler.evidence.fairness.effort import LADDER, PLAIN, REAL, REQUESTED, Found
from hypergen_compiler.evidence.fairness.recipes import CALIBRATED, MAIN
from hypergen_compiler.evidence.fairness.values import generated
from hypergen_compiler.evidence.measures import deviation
from hypergen_compiler.evidence.plots import figure

__all__ = ["draw"]

SHOWN = {REAL: "0.6", PLAIN: "tab:red", LADDER: "tab:orange", MAIN.name: "tab:cyan", CALIBRATED.name: "tab:blue"}


def draw(path: Path, found: Found) -> None:
    """Writes a PNG: the knob of each of SHOWN, and the error of each request."""
    plot = figure(9, 4.2)
    knob, error = plot.subplots(1, 2)
    for method, colour in SHOWN.items():
        if method in found:
            means = [deviation([values[generated(x)] for values in found[method]]) for x in REQUESTED]
            middle, spread = [value.mean for value in means], [value.error for value in means]
            knob.errorbar(REQUESTED, middle, spread, color=colour, marker="o", markersize=3, label=method)
            distances = [value - x for value, x in zip(middle, REQUESTED, strict=True)]
            if method != PLAIN:  # whose error is as large as the request
                error.errorbar(REQUESTED, distances, spread, color=colour, marker="o", markersize=3)
    knob.plot([0, 1], [0, 1], color="0.8", zorder=0)
    error.axhline(0, color="0.8", zorder=0)
    knob.set(xlabel="requested share", ylabel="generated share")
    error.set(xlabel="requested share", ylabel="generated less requested")
    knob.legend(fontsize=7, frameon=False)
    plot.savefig(path, metadata={"Software": None})
