"""The page about what heads learn: `docs/quality.md`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.quality_runs import Run
from benchmarks.quality_tasks import MIXTURES, PICTURES, SAMPLES, TASKS
from hypergen_compiler.version import VERSION

__all__ = ["Row", "at_length", "page", "plain_row", "row"]

Mean = tuple[float, float]  # over seeds, with its standard error


@dataclass(frozen=True)
class Row:
    """A contender over its seeds. `steps` are plain steps that one of its steps takes, if that was measured; `to_steps`
    and `to_time` its loss less that of the plain model after equal steps, and after equal time."""

    contender: str
    loss: Mean
    slope: Mean
    steps: float | None
    to_steps: Mean | None = None
    to_time: Mean | None = None
    longest: bool = False


def plain_row(rate: float, lasting: Mapping[int, Sequence[Run]]) -> Row:
    runs = lasting[1]
    return Row(f"plain, learning rate {rate:g}", mean([r.loss for r in runs]), mean([r.slope for r in runs]), 1.0)


def row(contender: str, runs: Sequence[Run], lasting: Mapping[int, Sequence[Run]], steps: float | None = None) -> Row:
    loss, slope = mean([run.loss for run in runs]), mean([run.slope for run in runs])
    to_steps = less(loss, at_length(lasting, 1.0))
    if steps is None:
        return Row(contender, loss, slope, None, to_steps)
    return Row(contender, loss, slope, steps, to_steps, less(loss, at_length(lasting, steps)), steps > max(lasting))


def at_length(lasting: Mapping[int, Sequence[Run]], length: float) -> Mean:
    """The plain model's loss after `length` times a head's steps, on straight lines over the logarithm of the length
    between its trainings; the longest one stands for what lies beyond it."""
    known = sorted(lasting)
    length = min(max(length, known[0]), known[-1])
    after = next(one for one in known if one >= length)
    before = max((one for one in known if one < length), default=after)
    share = 0.0 if after == before else math.log(length / before) / math.log(after / before)
    pairs = zip(lasting[before], lasting[after], strict=True)
    return mean([(1 - share) * short.loss + share * long.loss for short, long in pairs])


def mean(values: Sequence[float]) -> Mean:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.mean(values), error


def less(one: Mean, other: Mean) -> Mean:
    return one[0] - other[0], math.hypot(one[1], other[1])


def page(found: Mapping[str, Sequence[Row]], seeds: int) -> str:
    parts = [
        "# What each head learns\n",
        f"Written by `python -m benchmarks.quality`, HyperGen {VERSION}, torch {torch.__version__.partition('+')[0]}.",
        f"Every contender takes as many steps of {PICTURES} pictures each, at the learning rate that is the best of",
        "three for the plain model by the validation pictures. Packages train by their own loop and their own settings",
        "else, the penalty included; these settings were last changed by trials on the validation pictures, too.",
        f"{seeds} seeds, means with standard errors.\n",
        "- loss: nats per test picture, of packages under the weights that the averaged hypernetwork emits for all",
        "  of the training data",
        "- less plain's, equal steps and equal time: the loss less that of the plain model after as many steps, and",
        "  after as many as it takes in that time, read off between its trainings of once, twice and, where a head is",
        "  that slow, four times the steps; lower is better",
        "- plain steps: the time of one step, measured by turns with the plain model's in processor time",
        "- share slope: how the class shares of samples follow those of the dataset that weights were emitted for,",
        f"  over {MIXTURES} random mixtures of the classes, {SAMPLES} samples each; 1 is exactly, 0 is not at all\n",
    ]
    for name, rows in found.items():
        parts += [f"## {TASKS[name].title}\n", f"{TASKS[name].steps:,} steps.\n", *table(rows), ""]
    return "\n".join(parts)


def table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| head | loss | less plain's, equal steps | less plain's, equal time | plain steps | share slope |",
        "|---|---|---|---|---|---|",
    ]
    for one in rows:
        cells = [one.contender, shown(one.loss), signed(one.to_steps), signed(one.to_time)]
        cells.append("" if one.steps is None else f"{one.steps:.2f}")
        lines.append(f"| {' | '.join([*cells, shown(one.slope)])} |")
    return lines


def shown(value: Mean) -> str:
    return f"{value[0]:.2f} ± {value[1]:.2f}"


def signed(value: Mean | None) -> str:
    return "" if value is None else f"{value[0]:+.2f} ± {value[1]:.2f}"
