"""The values of the experiment `fairness` as JSON, as a page, and for a terminal."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from hypergen_compiler.evidence.fairness.effort import (
    CONCENTRATION,
    HALF,
    LADDER,
    MIXTURES,
    NEAREST,
    PLAIN,
    REQUESTED,
    TOLD,
    Found,
    Results,
)
from hypergen_compiler.evidence.fairness.families import FAMILIES
from hypergen_compiler.evidence.fairness.plain import CHECKS, RATES
from hypergen_compiler.evidence.fairness.plot import draw
from hypergen_compiler.evidence.fairness.recipes import MAIN
from hypergen_compiler.evidence.fairness.values import generated
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


INTRODUCTION = f"""
Written by `hypergen experiment fairness{{option}}`, {{seeds}} seeds (0 to {{last}}), HyperGen {{version}}, torch
{{torch}}. ± is one standard error over the seeds. A seed draws its training pictures ({{common}} common and {{rare}}
rare ones), its validation pictures, the first weights and all noise; the test pictures are the same for all seeds, and
no rate, step or seed was chosen by them. The model is {{model}}. All methods start from the same weights, take
{{steps}} steps, {{mixed_steps}} with all classes, and see 256 pictures in each.

The plain trainings (Adam, cosine schedule) are tuned: rates {{rates}}, and the weights of the best of {CHECKS} steps,
both by the validation loss at the mixture that is trained for. `{PLAIN}` trains at the data's own mixture; `{LADDER}`
draws rows so that each class has the requested share, at the rate that was best for `{PLAIN}`; `{NEAREST}` is the one
of them that generates a share nearest the data's own, and `{HALF}` the one with as many rows of each class. `{TOLD}` is
a model that takes the class as an input. Hypernetworks are trained by the package's own trainer, with the head and the
settings that packages come with: {{usual}}. Their last moving average is taken. No row and no seed is left out."""

OF_PAIR = """
Share is the part of 4,000 generated pictures that the classifier reads as the rare class, confident share that among
pictures whose class it is sure of by 0.9, and unsure the part of the others. Loss is that of test pictures, {loss};
that of the model which is told the class is given the class, so it is not comparable. Coverage is the part of test
pictures that have one of 1,500 generated ones nearer than their fifth neighbour among the test pictures of their class.
The first row is what the classifier reads in test pictures at the data's own mixture."""

OF_KNOB = f"""
Slope is that of a line through generated against requested shares, mean error the mean distance of the two. The loss is
the mean over the requested mixtures of the test loss at that mixture. Only `{LADDER}` takes a training for each
request."""

OF_MIXTURES = f"""
{MIXTURES} mixtures of all classes are requested, drawn from a Dirichlet distribution of concentration
{CONCENTRATION:g}. The share slope tells how far generated shares follow them: 0 not at all, 1 wholly. The distance of
shares is the total variation between the two."""


def rows(found: Found, columns: Sequence[str]) -> list[tuple[str, dict[str, Measured]]]:
    """Each method's name, and the mean over seeds and its standard error of every column that it has."""
    return [
        (method, {name: deviation([values[name] for values in seeds]) for name in columns if name in seeds[0]})
        for method, seeds in found.items()
    ]


def as_values(results: Results) -> dict[str, Any]:
    """All of it for JSON: `knob` is that of the usual recipe, `by_seed` has every value that a mean was taken of."""
    knob = dict(rows(results.of_pair, KNOB))[MAIN.name]
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
        "knob": {
            "slope": knob["slope"].mean,
            "slope_error": knob["slope"].error,
            "mean_error": knob["mean error"].mean,
            "mean_error_error": knob["mean error"].error,
        },
        **{
            name: [{"method": method, **{key: value._asdict() for key, value in row.items()}} for method, row in found]
            for name, found in ((name, rows(*parts)) for name, parts in tables.items())
        },
        "by_seed": {"pair": results.of_pair, "mixtures": results.of_mixtures},
    }


def page(results: Results) -> str:
    common, rare = results.pair
    own = {method: seeds for method, seeds in results.of_pair.items() if method != LADDER}
    knobs = {method: seeds for method, seeds in results.of_pair.items() if method not in (HALF, NEAREST)}
    sections = (
        (f"How much of the {rare}s is generated", OF_PAIR.format(loss=FAMILIES[results.family].loss), own, PAIR),
        ("The knob: generated against requested shares", OF_KNOB, knobs, KNOB),
        ("All classes at random mixtures", OF_MIXTURES, results.of_mixtures, MIXED),
    )
    lines = [f"# A rare class, and the knob: {rare} against {common} in {results.data}", "", introduction(results)]
    for title, text, found, columns in (section for section in sections if section[2]):
        plot = f"![generated against requested shares]({results.name}.png)\n\n" if columns is KNOB else ""
        lines += ["", f"## {title}", "", plot + filled(text), "", *markdown(rows(found, columns), columns)]
    return "\n".join(lines) + "\n"


def introduction(results: Results) -> str:
    common, rare = results.counts
    text = INTRODUCTION.format(
        seeds=results.seeds,
        last=results.seeds - 1,
        version=VERSION,
        torch=torch.__version__,
        common=common,
        rare=rare,
        steps=results.steps,
        model=FAMILIES[results.family].text,
        option="" if results.family == "vae" else f" --model {results.family}",
        usual=settings_text(results.usual),
        mixed_steps=results.mixed_steps,
        rates=", ".join(f"{rate:g}" for rate in RATES),
    )
    return filled(text)


def filled(text: str) -> str:
    """Paragraphs in lines of 120 columns."""
    return "\n\n".join(fill(part, 120, break_on_hyphens=False) for part in text.strip().split("\n\n"))


def settings_text(usual: Mapping[str, Any]) -> str:
    """The head, and those settings that decide what is learned."""
    values = ", ".join(f"{name} {usual[name]:g}" for name in ("batch", "episodes", "lr", "strength", "ema"))
    return f"head `{usual['head']}`, {values}"


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
