"""The picture of the benchmark: `docs/benchmarks.png`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Row

__all__ = ["plot"]

COLUMNS = 2
WIDTH, ROOM = 5.5, 0.24  # inches: of a panel, and of a row in it


def plot(rows: Sequence[Row], path: Path) -> None:
    """A panel for each cell: every contender's step times the plain model's, with quartiles, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    timed = [row for row in rows if row.speed and row.name != "plain"]
    cells = list(dict.fromkeys(row.cell for row in timed))
    lines = -(-len(cells) // COLUMNS)
    most = max(sum(row.cell == cell for row in timed) for cell in cells)
    size = (WIDTH * COLUMNS, lines * (0.9 + ROOM * most))
    figure, axes = pyplot.subplots(lines, COLUMNS, figsize=size, squeeze=False, sharex=True, layout="constrained")
    for axis in axes.flat[len(cells) :]:
        axis.axis("off")
    for cell, axis in zip(cells, axes.flat, strict=False):
        panel(axis, cell.title, [row for row in timed if row.cell == cell])
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xticks([1, 2, 5, 10, 20, 50])
        axis.tick_params(labelbottom=True, labelsize=8)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    pyplot.close(figure)


def panel(axis, title: str, rows: Sequence[Row]) -> None:
    middles = [row.speed.median for row in rows]
    spread = [
        [row.speed.median - row.speed.low for row in rows],
        [row.speed.high - row.speed.median for row in rows],
    ]
    places = range(len(rows))
    axis.errorbar(middles, places, xerr=spread, fmt="o", markersize=4, capsize=2, linewidth=1)
    axis.axvline(1, color="0.6", linewidth=1)
    axis.set_yticks(places, [row.name for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_title(f"{title}: step / plain step", fontsize=9)
    axis.grid(axis="x", linewidth=0.4)
