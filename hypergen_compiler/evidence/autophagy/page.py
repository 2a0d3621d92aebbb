"""What the experiment `autophagy` found, as a page and for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from hypergen_compiler.evidence.autophagy.chains import FORMS, STARTS
from hypergen_compiler.evidence.autophagy.plot import draw
from hypergen_compiler.evidence.autophagy.statistics import COMPARED, PENALISED, stated
from hypergen_compiler.evidence.autophagy.words import sentences
from hypergen_compiler.evidence.packages import recipe_text

__all__ = ["page", "table", "write"]

SHOWN = (0, 1, 2, 5, 10, 20, 50)  # generations in a table

INTRODUCTION = """\
# Self-consuming loops

Written by `{command}`:
HyperGen {hypergen}, torch {torch}, Python {python}, seeds {seeds}. Every number is a mean over the seeds, ± its
standard error.

A chain starts with 512 real pictures. A contestant generates 512 pictures from them, and what the next generation
learns from are these alone (*synthetic*), or half of them and half of the first real pictures (*with fixed real data*),
or half of them and as many real pictures drawn anew (*with fresh real data*): the three loops of
[Self-Consuming Generative Models Go MAD](https://arxiv.org/abs/2307.01850). A *balanced* start has all classes alike,
an *imbalanced* one a heavy class with half of the pictures, another for every seed.

- *resampling* draws from them: what sampling alone does, without any model;
- *plain, retrained* trains a VAE from its initialization, at the length and rate that did best on held-out data;
- *plain, continued* is a VAE trained on all real data that goes on training on them, with a quarter of those steps at
  a third of that rate;
- *class-conditional* is a VAE told the class, trained on all real data once, that is asked for the shares of the
  classes that a classifier finds in them;
- *hypernetwork*, trained once over mixtures of all real data, reads them and emits a VAE's weights in one pass, by the
  moving average of its parameters;
- *hypernetwork, penalty unbiased* is the same, trained with the autophagy penalty;
- *hypernetwork, penalty over chains* with that of `--penalty chains`, which compares what the hypernetwork reads in
  samples of samples with what it reads in the data that they began with.

All of them are packages that HyperGen compiled from the same small VAE, with its conditional variant. Hypernetworks
have the head and the settings that packages come with: {recipe}.

Two of the contestants are not like the others: *plain, retrained* never sees more real pictures than a chain gives it,
and all that were trained on all real data once cannot forget what is not theirs to change. The rival that is fair to a
hypernetwork is therefore *plain, continued* where quality is concerned, and *class-conditional* where shares are.
"""

MEASURED = """\
## How it is measured

A classifier of {accuracy:.1%} accuracy, trained on real pictures that no contestant saw, gives the features. The
Fréchet distance, precision and recall (k-nearest-neighbour manifolds, k = 3) are to these pictures, weighted to the
start's shares. Diversity is the mean squared distance between two pictures of a generation in these features. Drift is
the total variation distance between the shares that the classifier finds and the start's. A difference is called clear
where Student's t over the seeds, in pairs that start from the same data, has less than a chance of 1% under none; of a
hundred differences that are none, one is called clear all the same. Settings of all contestants are in
[autophagy.json](autophagy.json).
"""


def page(found: Mapping[str, Any]) -> str:
    command = "hypergen experiment autophagy" + (" --quick" if found["quick"] else "") + " --out docs/evidence"
    seeds = ", ".join(map(str, found["seeds"]))
    recipe = recipe_text(found["settings"][PENALISED][0])
    parts = [
        INTRODUCTION.format(command=command, seeds=seeds, recipe=recipe, **found["versions"]),
        "## In plain words\n\n" + "\n".join(f"- {sentence}" for sentence in sentences(found)) + "\n",
        "![chains by generation](autophagy.png)\n",
        COMPARISON,
        comparison(found),
        *(section(found["chains"], start, "frechet", "Fréchet distance") for start in STARTS),
        section(found["chains"], STARTS[0], "drift", "Drift of the shares"),
        section(found["chains"], STARTS[1], "heavy", "Share of the heavy class, 0.5 in real data"),
        "## Precision, recall and diversity in the last generation\n\n" + last_generation(found["chains"]),
        "## Gaussians\n\n" + GAUSSIANS + "\n" + markdown(*gaussian_rows(found["gaussian"])),
        MEASURED.format(accuracy=found["classifier_accuracy"]),
    ]
    return "\n".join(parts)


COMPARISON = """\
## What differs clearly

The generations, of 1, 5, 10 and 20, at which the first contestant's measure is clearly lower or higher than the
other's; lower is better for both measures. "no" stands for no clear difference at any of them.
"""

GAUSSIANS = """\
A chain starts with 20 numbers of variance 1; its mean variance over 4,000 chains of every seed is shown. The sample
variance is unbiased in every generation, so its mean stays at 1, yet its median falls too: that much is sampling.
"""


def section(chains: Sequence[Mapping[str, Any]], start: str, measure: str, title: str) -> str:
    rows = [chain for chain in chains if chain["start"] == start]
    shown = [generation for generation in SHOWN if generation < len(rows[0][measure])]
    head = ("form", "contestant", *(f"generation {generation}" for generation in shown))
    body = [(row["form"], row["contestant"], *(number(row, measure, g) for g in shown)) for row in ordered(rows)]
    return f"## {title}, {start} start\n\n" + markdown(head, body)


def ordered(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: FORMS.index(row["form"]))


def number(row: Mapping[str, Any], measure: str, generation: int) -> str:
    return stated(row[measure][generation], row[f"{measure}_error"][generation])


def last_generation(chains: Sequence[Mapping[str, Any]]) -> str:
    measures = ("precision", "recall", "diversity")
    head = ("form", "start", "contestant", *measures)
    return markdown(
        head,
        [
            (row["form"], row["start"], row["contestant"], *(number(row, m, -1) for m in measures))
            for row in ordered(chains)
        ],
    )


def gaussian_rows(chains: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    shown = [generation for generation in SHOWN if 0 < generation < len(chains[0]["mean"])]
    head = ("form", "estimator", *(f"generation {g}" for g in shown), "median at the end")
    rows = [
        (row["form"], row["contestant"], *(number(row, "mean", g) for g in shown), number(row, "median", -1))
        for row in ordered(chains)
    ]
    return head, rows


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def comparison(found: Mapping[str, Any]) -> str:
    """A table of what differs clearly, at which generations, for every pair of contestants."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in found["differences"]:
        groups.setdefault((row["contestant"], row["against"], row["start"], COMPARED[row["measure"]]), []).append(row)
    head = ("contestant", "against", "start", "measure", *FORMS)
    return markdown(head, [(*names, *(cell(rows, form) for form in FORMS)) for names, rows in groups.items()])


def cell(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Where the measure is clearly lower or higher: "lower at 5, 10"."""
    directions: dict[str, list[str]] = {}
    for row in rows:
        if row["form"] == form and row["clear"]:
            direction = "lower" if row["difference"] < 0 else "higher"
            directions.setdefault(direction, []).append(str(row["generation"]))
    return "; ".join(f"{direction} at {', '.join(places)}" for direction, places in directions.items()) or "no"


def table(found: Mapping[str, Any]) -> Table:
    """The last generation of chains without real data."""
    shown = Table(box=None, header_style="dim")
    measures = ("frechet", "recall", "drift", "heavy")
    last = len(found["chains"][0]["frechet"]) - 1
    for name in ("start", "contestant", *(f"{measure}, generation {last}" for measure in measures)):
        shown.add_column(Text(name))
    for row in [row for row in found["chains"] if row["form"] == FORMS[0]]:
        shown.add_row(*map(Text, (row["start"], row["contestant"], *(number(row, m, -1) for m in measures))))
    return shown


def write(out: Path, found: Mapping[str, Any]) -> None:
    """`autophagy.md`, `autophagy.json` and `autophagy.png` in the folder, which is made where it is missing."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "autophagy.md").write_text(page(found))
    (out / "autophagy.json").write_text(json.dumps(found) + "\n")
    draw(out / "autophagy.png", found)
