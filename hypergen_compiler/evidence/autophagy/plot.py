"""Chains by generation as one picture: quality and shares of pictures, the variance of Gaussians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypergen_compiler.evidence.autophagy.chains import FORMS, STARTS
from hypergen_compiler.evidence.plots import figure

__all__ = ["draw"]

LABELS = {"frechet": "Fréchet distance", "drift": "shares: total variation", "heavy": "share of the heavy group"}
PANELS = [("frechet", STARTS[0]), ("drift", STARTS[0]), ("frechet", STARTS[1]), ("heavy", STARTS[1])]
COLOURS = ("tab:gray", "tab:red", "tab:orange", "tab:green", "tab:blue", "tab:purple", "tab:olive")


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """A column for each form; bands are one standard error."""
    drawing = figure(13, 14)
    panels = drawing.subplots(len(PANELS) + 1, len(FORMS), squeeze=False)
    for column, form in enumerate(FORMS):
        for row, (measure, start) in enumerate(PANELS):
            chains = [chain for chain in found["chains"] if (chain["form"], chain["start"]) == (form, start)]
            lines(panels[row][column], chains, measure)
            panels[row][column].set_title(f"{form}, {start} start", fontsize=9)
            panels[row][column].set_ylabel(LABELS[measure])
        axes = panels[-1][column]
        lines(axes, [chain for chain in found["gaussian"] if chain["form"] == form], "mean")
        axes.set_title(f"Gaussian, {form}", fontsize=9)
        axes.set_ylabel("mean variance, of 1")
        axes.set_xlabel("generation")
    for row in (0, 2):
        largest = max(axes.get_ylim()[1] for axes in panels[row])
        for axes in panels[row]:
            axes.set_ylim(0, largest)
    panels[0][0].legend(fontsize=7)
    panels[-1][0].legend(fontsize=7)
    drawing.savefig(path, metadata={"Software": None})


def lines(axes: Any, chains: Sequence[Mapping[str, Any]], measure: str) -> None:
    for chain, colour in zip(chains, COLOURS, strict=False):
        values, errors = chain[measure], chain[f"{measure}_error"]
        generations = range(len(values))
        axes.plot(generations, values, color=colour, label=chain["contestant"], linewidth=1.2)
        low, high = ([v + s * e for v, e in zip(values, errors, strict=True)] for s in (-1, 1))
        axes.fill_between(generations, low, high, color=colour, alpha=0.2, linewidth=0)
