"""The values of the experiment `fairness` as JSON, as a page, and for a terminal."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from hypergen_compiler.evidence.fairness.effort import (
    HALF,
    LADDER,
    NEAREST,
    REQUESTED,
    Found,
    Results,
)
from hypergen_compiler.evidence.fairness.plot import draw
from hypergen_compiler.evidence.fairness.recipes import CALIBRATED, MAIN
from hypergen_compiler.evidence.fairness.values import generated
from hypergen_compiler.evidence.fairness.words import introduction, of_knob, of_mixtures, of_pair
from hypergen_compiler.evidence.measures import Measured, deviation
from hypergen_compiler.version import VERSION

__all__ = ["as_values", "page", "table", "write"]

PAIR = (
    "share",
    "confident share",
    "unsure",
    "loss, rare",
    "loss, common",
    "coverage, rare",
    "coverage, common",
)
KNOB = ("slope", "mean error", "loss at the requested mixtures", *map(generated, REQUESTED))
MIXED = ("share slope", "distance of shares", "loss", "loss at the requested mixtures")


def rows(found: Found, columns: Sequence[str]) -> list[tuple[str, dict[str, Measured]]]:
    """Each method's name, and the mean over seeds and its standard error of every column that it has."""
    return [
        (method, {name: deviation([values[name] for values in seeds]) for name in columns if name in seeds[0]})
        for method, seeds in found.items()
    ]


def as_values(results: Results) -> dict[str, Any]:
    """All of it for JSON; `by_seed` has every value that a mean was taken of.

    `knob` is that of calibrated weights, `uncalibrated_knob` that of the same trainings without.
    """
    knobs = dict(rows(results.of_pair, KNOB))
    tables = {
        "pair": (results.of_pair, PAIR),
        "knobs": (results.of_pair, KNOB),
        "mixtures": (results.of_mixtures, MIXED),
    }
    return {
        "model": results.family,
        "data": results.data,
        "common": results.pair[0],
        "rare": results.pair[1],
        "share": results.share,
        "seeds": list(range(results.seeds)),
        "steps": {"pair": results.steps, "mixtures": results.mixed_steps},
        "versions": {"hypergen": VERSION, "torch": torch.__version__, "python": platform.python_version()},
        "usual": results.usual,
        "knob": knob(knobs[CALIBRATED.name]),
        "uncalibrated_knob": knob(knobs[MAIN.name]),
        **{
            name: [{"method": method, **{key: value._asdict() for key, value in row.items()}} for method, row in found]
            for name, found in ((name, rows(*parts)) for name, parts in tables.items())
        },
        "by_seed": {"pair": results.of_pair, "mixtures": results.of_mixtures},
    }


def knob(values: dict[str, Measured]) -> dict[str, float]:
    slope, error = values["slope"], values["mean error"]
    return {
        "slope": slope.mean,
        "slope_error": slope.error,
        "mean_error": error.mean,
        "mean_error_error": error.error,
    }


def page(results: Results) -> str:
    common, rare = results.pair
    own = {method: seeds for method, seeds in results.of_pair.items() if method != LADDER}
    knobs = {method: seeds for method, seeds in results.of_pair.items() if method not in (HALF, NEAREST)}
    sections = (
        (f"How much of the {rare}s is generated", of_pair(results), own, PAIR),
        ("The knob: generated against requested shares", of_knob(), knobs, KNOB),
        ("All classes at random mixtures", of_mixtures(), results.of_mixtures, MIXED),
    )
    lines = [f"# A rare class, and the knob: {rare} against {common} in {results.data}", "", introduction(results)]
    for title, text, found, columns in (section for section in sections if section[2]):
        plot = f"![generated against requested shares]({results.name}.png)\n\n" if columns is KNOB else ""
        lines += ["", f"## {title}", "", plot + text, "", *markdown(rows(found, columns), columns)]
    return "\n".join(lines) + "\n"


def markdown(found: Sequence[tuple[str, dict[str, Measured]]], columns: Sequence[str]) -> list[str]:
    lines = [("method", *columns), ("---",) * (1 + len(columns)), *texts(found, columns)]
    return [f"| {' | '.join(line)} |" for line in lines]


def texts(found: Sequence[tuple[str, dict[str, Measured]]], columns: Sequence[str]) -> list[tuple[str, ...]]:
    return [(method, *(text(values.get(name)) for name in columns)) for method, values in found]


def text(value: Measured | None) -> str:
    if value is None:
        return "-"
    digits = 2 if abs(value.mean) >= 5 else 3
    return f"{value.mean:.{digits}f} ± {value.error:.{digits}f}"


def table(results: Results) -> Table:
    """The knobs, for a terminal."""
    columns = ("share", "slope", "mean error", "loss, rare", "loss, common")
    found = Table(box=None, header_style="dim")
    for name in ("method", *columns):
        found.add_column(Text(name))
    for line in texts(rows(results.of_pair, columns), columns):
        found.add_row(*map(Text, line))
    return found


def write(out: Path, results: Results) -> None:
    """The page, the values and the plots in the folder, which is made where it is missing."""
    out.mkdir(parents=True, exist_ok=True)
    name = results.name
    draw(out / f"{name}.png", results.of_pair)
    (out / f"{name}.md").write_text(page(results))
    (out / f"{name}.json").write_text(json.dumps(as_values(results), indent=1) + "\n")
