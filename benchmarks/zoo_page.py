"""The page about a zoo: `docs/zoo.md`."""

from __future__ import annotations

import os
import platform
import statistics
from collections import Counter
from collections.abc import Sequence

import torch

from benchmarks.zoo_large import Large
from benchmarks.zoo_rows import Row
from hypergen_compiler.ops import registered
from hypergen_compiler.version import VERSION

__all__ = ["page"]

INTRODUCTION = """\
# Models that HyperGen compiles

Entry points of the bundled models and of generative models that other people wrote, each compiled by itself as
`hypergen.compile(model, example, loss=None, sample=None, entries=..., out=...)`. `equal` means that the emitted
function gave the model's outputs, parameter gradients and state updates at batch sizes that it was not recorded at,
with the model's own weights and with perturbed ones; otherwise the error's code stands there (see [errors](errors.md)).

- nodes: recorded calls in the graph, in both graphs where training and evaluation are different programs
- lines: of the emitted functions, without blank lines, comments and docstrings; longest: of one function
- the model's lines: of those of its functions whose calls were recorded, counted alike
- whole graph: `torch.compile(fullgraph=True, backend="aot_eager")` takes the emitted function in both modes, and gives
  its values and gradients

This page is written by `make zoo`.
"""

HEAD = """\
| entry | nodes | lines | longest | the model's lines | seconds | result | whole graph |
|---|---|---|---|---|---|---|---|"""


def page(rows: Sequence[Row], large: Large | None = None) -> str:
    """Introduction, versions, table, a summary, the large model, and the notes of the rows that have any."""
    parts = [INTRODUCTION, versions(rows), f"{HEAD}\n" + "\n".join(map(table_row, rows)) + "\n", summary(rows)]
    if large:
        parts.append(large_model(large))
    notes = [f"- {row.name}: {escaped(note)}" for row in rows for note in row.notes]
    if notes:
        parts.append("## Notes\n\n" + "\n".join(notes) + "\n")
    parts.append(call_table(rows))
    return "\n".join(parts)


def table_row(row: Row) -> str:
    counts = [row.calls.total(), row.lines, row.longest, row.own_lines]
    shown = [str(count) if count else "" for count in counts]
    seconds = f"{row.seconds:.1f}" if row.seconds else ""
    return "| " + " | ".join([row.name, *shown, seconds, row.result, row.whole_graph]) + " |"


def versions(rows: Sequence[Row]) -> str:
    packages = {name: version for row in rows for name, version in row.packages.items()}
    models = ", ".join(f"{name} {packages[name]}" for name in sorted(packages, key=str.lower))
    tools = f"HyperGen {VERSION}, torch {torch.__version__.partition('+')[0]}, Python {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores, of which one was used"
    return f"{tools}, {machine}.\n" + (f"Models from {models}.\n" if models else "")


def summary(rows: Sequence[Row]) -> str:
    done = [row for row in rows if row.result == "equal"]
    ratios = [row.lines / row.own_lines for row in done if row.own_lines]
    text = f"{len(done)} of {len(rows)} entry points are equal"
    text += f", {sum(row.whole_graph == 'yes' for row in done)} of these are one whole graph for torch.compile"
    if ratios:
        text += f". Emitted lines for a line of the model: median {statistics.median(ratios):.2f}"
        text += f", largest {max(ratios):.2f}"
    return f"{text}.\n"


def large_model(large: Large) -> str:
    return (
        "## A large model\n\n"
        f"A decoder-only transformer of {large.weights:,} weights in {large.tensors} tensors, on torch's meta device, "
        f"so without values: `hypergen.plan` recorded its loss and chose the head {large.head} of rank {large.rank}, "
        f"{large.parameters:,} parameters, in {large.seconds:.1f} s of processor time.\n"
    )


CALLS = """\
## Recorded calls

Every call in these graphs, in how many entry points it stands, and whether it has a printed form of its own or follows
the general rule (see [operators](operators.md)).

| call | entry points | printed by |
|---|---|---|"""


def call_table(rows: Sequence[Row]) -> str:
    found = Counter(name for row in rows for name in row.calls)
    own = set(registered())
    lines = [
        f"| `{name}` | {found[name]} | {'its own form' if name in own else 'the rule'} |" for name in sorted(found)
    ]
    return f"{CALLS}\n" + "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that a Markdown list item shows as it is."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
