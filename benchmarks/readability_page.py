"""The page about how emitted code reads: `docs/readability.md`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypergen_compiler.version import VERSION

if TYPE_CHECKING:
    from benchmarks.readability import ReadRow

__all__ = ["page"]

INTRODUCTION = """\
# How the emitted code reads

Counted in the `model.py` of every entry point that HyperGen is tried on (see [the zoo](zoo.md)), each compiled by
itself.

- lines: of the emitted functions and classes, without blank lines, comments and docstrings; the model's: of those of
  its functions whose calls were recorded, the methods of torch's distributions among them, counted alike; ratio: the
  first over the second
- longest: lines of the longest emitted function
- names: local names of the emitted functions (arguments, variables, loop variables; `w`, `state`, `training`, `n` and
  `device` aside), a name once a function
- recovered: how many of them the model's functions that ran also use, as a variable, an argument or an attribute
- numbered: how many end in a number that HyperGen added to keep two values apart
"""


def page(rows: Sequence[ReadRow]) -> str:
    """Introduction, a summary beside the aims, and a row for every entry point."""
    origin = f"Written by `make readability` with HyperGen {VERSION}.\n"
    head = "| entry | lines | the model's | ratio | longest | names | recovered | numbered |\n|" + 8 * "---|"
    return "\n".join([INTRODUCTION, origin, summary(rows), f"{head}\n" + "\n".join(map(table_row, rows)) + "\n"])


def summary(rows: Sequence[ReadRow]) -> str:
    ratios = [row.lines / row.own_lines for row in rows if row.own_lines]
    names = sum(row.names.total for row in rows)
    recovered = sum(row.names.recovered for row in rows)
    numbered = sum(len(row.names.numbered) for row in rows)
    lines = [
        "| over all entry points | measured | aim |",
        "|---|---|---|",
        f"| emitted lines for a line of the model, median | {statistics.median(ratios):.2f} | 0.5 |",
        f"| the same, largest | {max(ratios):.2f} | 2, but for layers that live in a constructor's list |",
        f"| longest function, in lines | {max(row.longest for row in rows)} | 30 |",
        f"| local names recovered | {share(recovered, names)} | 90% |",
        f"| names with a number added | {share(numbered, names)} | under 5% |",
    ]
    return "\n".join(lines) + "\n"


def table_row(row: ReadRow) -> str:
    ratio = f"{row.lines / row.own_lines:.2f}" if row.own_lines else ""
    names = row.names
    cells = [row.name, row.lines, row.own_lines or "", ratio, row.longest, names.total]
    cells += [share(names.recovered, names.total), share(len(names.numbered), names.total)]
    return "| " + " | ".join(map(str, cells)) + " |"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else ""
