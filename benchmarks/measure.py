"""One cell of the benchmark: its contenders, timed and weighed beside the plain model."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cells import Cell, Entry
from benchmarks.contenders import Contender, plain
from benchmarks.memory import available_bytes, peak_bytes
from benchmarks.steps import Ratio, Times, ratio, time_pairs

__all__ = ["Row", "groups", "measure"]

SHARE = 0.6  # of the available memory that contenders may fill


@dataclass(frozen=True)
class Row:
    """A contender's step in a cell: times plain and in seconds, parameters per weight, and peak bytes times plain.

    Where `speed` is None there are no numbers, and `skipped` says why.
    """

    cell: Cell
    name: str
    speed: Ratio | None = None
    seconds: float = 0.0
    rounds: int = 0
    copies: float = 0.0
    bytes: int = 0
    memory: float = 0.0
    skipped: str = ""


def measure(cell: Cell, entries: Sequence[Entry], seconds: float) -> list[Row]:
    """Rows in the order of the entries; the plain model's own comes first."""
    model = plain(cell.target.make(), cell.data(), cell.steps)
    model.step()
    base = peak_bytes(model.step, model.tensors())
    rows = []
    limit = round(SHARE * available_bytes())
    for group in groups(entries, limit):
        rows += measure_group(cell, group, model, base, seconds, limit)
        gc.collect()
    own = next((row.seconds / row.speed.median for row in rows if row.speed), 0.0)
    return [Row(cell, "plain", Ratio(1.0, 1.0, 1.0), own, 0, 1.0, base, 1.0), *rows]


def measure_group(
    cell: Cell, group: Sequence[Entry], model: Contender, base: int, seconds: float, limit: int
) -> list[Row]:
    built: dict[str, Contender] = {}
    skipped: dict[str, str] = {}
    for entry in group:
        try:
            if entry.bytes > limit:
                raise MemoryError(f"needs about {entry.bytes / 1e9:.1f} GB, {limit / 1e9:.1f} were to be had")
            contender = entry.build()
            contender.step()
            built[entry.name] = contender
        except Exception as error:  # whatever another library raises for a model that it was not made for
            skipped[entry.name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    times = time_pairs(model.step, {name: contender.step for name, contender in built.items()}, seconds)
    rows = []
    for entry in group:
        if entry.name in skipped:
            rows.append(Row(cell, entry.name, skipped=skipped[entry.name]))
        else:
            rows.append(row(cell, entry.name, built[entry.name], times[entry.name], model, base))
    return rows


def row(cell: Cell, name: str, contender: Contender, times: Times, model: Contender, base: int) -> Row:
    peak = peak_bytes(contender.step, contender.tensors())
    seconds = sorted(times.own)[len(times.own) // 2] / cell.steps
    copies = contender.parameters / model.parameters
    return Row(cell, name, ratio(times), seconds, len(times.own), copies, peak, peak / base)


def groups(entries: Sequence[Entry], limit: int) -> Iterator[list[Entry]]:
    """Entries in their order, as many together as `limit` bytes hold; a larger one stands alone."""
    group: list[Entry] = []
    for entry in entries:
        if group and sum(other.bytes for other in group) + entry.bytes > limit:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
