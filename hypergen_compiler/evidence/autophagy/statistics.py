"""Means, standard errors and differences over seeds of the experiment `autophagy`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from hypergen_compiler.evidence.measures import deviation

__all__ = [
    "CHAINED",
    "COMPARED",
    "HYPERNETWORK",
    "MEASURES",
    "PENALISED",
    "averaged",
    "differences",
    "rounded",
    "stated",
]

MEASURES = ("frechet", "precision", "recall", "diversity", "drift", "heavy")
COMPARED = {"frechet": "Fréchet distance", "drift": "drift of the shares"}  # both the lower the better
GENERATIONS = (1, 5, 10, 20)
HYPERNETWORK, PENALISED = "hypernetwork", "hypernetwork, penalty unbiased"
CHAINED = "hypernetwork, penalty over chains"
PAIRS = (
    (PENALISED, HYPERNETWORK),
    (CHAINED, HYPERNETWORK),
    (CHAINED, PENALISED),
    (PENALISED, "plain, retrained"),
    (PENALISED, "plain, continued"),
    (PENALISED, "class-conditional"),
    (HYPERNETWORK, "plain, retrained"),
)

# Student's t, two-sided 1%, for 2 and more seeds.
CRITICAL = (63.66, 9.92, 5.84, 4.60, 4.03, 3.71, 3.50, 3.36, 3.25)

Row = dict[str, Any]  # a chain of one seed: contestant, form, start, and measures by generation


def averaged(rows: Sequence[Row]) -> Row:
    """The same chain of several seeds as one row: each measure a list by generation, its errors beside it."""
    found: Row = {name: rows[0][name] for name in ("contestant", "form", "start")}
    for measure in MEASURES:
        columns = [deviation(column) for column in zip(*(row[measure] for row in rows), strict=True)]
        found[measure] = [rounded(mean) for mean, _ in columns]
        found[f"{measure}_error"] = [rounded(error) for _, error in columns]
    groups = zip(*(row["shares"] for row in rows), strict=True)
    found["shares"] = [[rounded(deviation(own)[0]) for own in zip(*each, strict=True)] for each in groups]
    return found


def differences(rows: Sequence[Sequence[Row]]) -> list[Row]:
    """What separates the contestants of PAIRS in every form and start, seed by seed. `rows` has a list of seeds for
    each chain."""
    by_name = {(row[0]["contestant"], row[0]["form"], row[0]["start"]): row for row in rows}
    return [
        {"contestant": contestant, "against": against, "form": form, "start": start, **difference}
        for (contestant, form, start), own in by_name.items()
        for against in [second for first, second in PAIRS if first == contestant]
        for difference in compared(own, by_name[against, form, start])
    ]


def compared(own: Sequence[Row], others: Sequence[Row]) -> Iterator[Row]:
    """Mean and standard error of the differences in pairs, which start from the same data of a seed."""
    for measure in COMPARED:
        for generation in GENERATIONS:
            if generation < len(own[0][measure]):
                pairs = zip(own, others, strict=True)
                mean, error = deviation([a[measure][generation] - b[measure][generation] for a, b in pairs])
                clear = abs(mean) > CRITICAL[min(len(own), len(CRITICAL) + 1) - 2] * error
                numbers = {"difference": rounded(mean), "error": rounded(error), "clear": clear}
                yield {"measure": measure, "generation": generation, **numbers}


def rounded(value: float) -> float:
    """Four significant digits: what is not measured is not written."""
    return float(f"{value:.4g}")


def stated(value: float, error: float) -> str:
    """Both to the error's first digit: "140 ± 10", "0.34 ± 0.02" """
    digits = 2 if error <= 0 else max(0, -math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
