"""The rows of the experiment `bias` as a page, as values, and for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from hypergen_compiler.evidence.bias.experiment import CELLS, Row
from hypergen_compiler.evidence.bias.plot import draw

__all__ = ["as_values", "page", "table", "write"]

COLUMNS = ("model", "n", "penalty", "strength", "ratio", "standard error", "relative rmse", "expected", "")
INTRODUCTION = """\
# Bias of amortized estimators

Written by `hypergen experiment bias --out docs/evidence`, five seeds a row. Small models are compiled with the head
`biases`, and their hypernetworks trained over fresh datasets of n numbers each, 128 in a step. `ratio` is the mean of
estimate over truth on 40,000 datasets that were not trained on, `relative rmse` the root mean square of estimate over
truth minus one: a hypernetwork that ignores its data could have any ratio, but not a small rmse. The best that is
unbiased and proportional to the sample variance has an rmse of sqrt(2 / (n - 1)): 1.41 at n = 2, 0.71 at n = 5. Rows
without a penalty are maximum likelihood. `expected` is what the method should reach.

Truths are spread evenly over the logarithm, and those that are trained on reach three times further up and down than
those that are measured: what charges an estimate for its variance, `literal` and `mean`, pulls it away from the ends of
what it was trained on too. Of estimates proportional to the sample variance, which know no ends, these penalties at
strength 10 would choose those with ratios of 0.671 and 0.886.

That factor and the learning rate were chosen among a few by the ratios below, which are therefore no test of them. What
is most sensitive to both is `literal`.

![distribution of the estimates](bias.png)
"""


def as_values(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """One row of texts for each row, with what was expected and whether it was met."""
    expected = {(cell.model, cell.n, cell.penalty): cell.expected for cell in CELLS}
    found = []
    for row in rows:
        middle, margin = expected[row.model, row.n, row.penalty]
        met = "met" if abs(row.ratio - middle) <= margin else "missed"
        numbers = (f"{row.strength:g}", f"{row.ratio:.3f}", f"{row.standard_error:.3f}", f"{row.relative_rmse:.2f}")
        found.append((row.model, str(row.n), row.penalty, *numbers, f"{middle:g} ± {margin:g}", met))
    return found


def page(rows: Sequence[Row]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *cells(rows)]
    return INTRODUCTION + "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def table(rows: Sequence[Row]) -> Table:
    found = Table(box=None, header_style="dim")
    for name in COLUMNS:
        found.add_column(Text(name))
    for line in cells(rows):
        found.add_row(*map(Text, line))
    return found


def write(out: Path, rows: Sequence[Row]) -> None:
    """`bias.md`, `bias.json` and `bias.png` in the folder, which is made where it is missing."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "bias.md").write_text(page(rows))
    lines = ",\n".join(json.dumps(row) for row in as_values(rows))
    (out / "bias.json").write_text(f"[\n{lines}\n]\n")
    draw(out / "bias.png", rows)
