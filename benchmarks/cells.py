"""Which contenders are timed on which target, with how many datasets in a step, with and without the penalty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.contenders import Contender, packaged, rival_contender
from benchmarks.heads import Head, Job
from benchmarks.memory import planned
from benchmarks.rivals import RIVALS, Rival
from benchmarks.targets import Target

__all__ = ["Cell", "Entry", "cells", "head_entry", "head_jobs", "rival_entries"]

MANY = 8  # datasets
FEW_FORWARDS = 1  # sampling that takes more passes of the model is timed for the default head alone
SHIPPED = "torchhyper"  # timed with both kinds of Adam
PENALISED_OF = 4  # datasets: the number in a package's objective
HEAVY = 10**8  # parameters: such a rival is timed with one dataset and without the penalty


@dataclass(frozen=True)
class Cell:
    """A step on `datasets` datasets of `items` items each."""

    target: Target
    datasets: int
    items: int
    penalty: bool = False

    @property
    def title(self) -> str:
        datasets = f"{self.datasets} x {self.items}"
        return f"{self.target.title}, {datasets}{' with penalty' if self.penalty else ''}"

    @property
    def large(self) -> bool:
        return self.datasets * self.items > self.target.items

    @property
    def samples_slowly(self) -> bool:
        return self.penalty and self.target.forwards > FEW_FORWARDS

    @property
    def steps(self) -> int:
        """From one penalty to the next, as a package's own training has it: one dataset in PENALISED_OF carries it."""
        return max(1, PENALISED_OF // self.datasets) if self.penalty else 1

    def data(self) -> list[Tensor]:
        torch.manual_seed(0)
        return [self.target.data(self.items) for _ in range(self.datasets)]


@dataclass(frozen=True)
class Entry:
    """A contender that is yet to be built, `bytes` about what training it takes."""

    name: str
    bytes: int
    build: Callable[[], Contender]


def cells(target: Target, quick: bool) -> Iterator[Cell]:
    """One dataset and eight without the penalty, and eight with it; a large step is timed unless in a hurry."""
    few = target.items // MANY
    yield Cell(target, 1, target.items)
    yield Cell(target, MANY, few)
    if target.forwards == 1 or not quick:
        yield Cell(target, MANY, few, penalty=True)
    if target.large and not quick:
        yield Cell(target, MANY, target.items)
        yield Cell(target, MANY, target.items, penalty=True)
        yield Cell(target, 1, target.items, penalty=True)


def head_jobs(cell: Cell, heads: Sequence[Head]) -> list[Job]:
    """The packages that a cell needs. A slow sampler is left out where it is not timed, as verifying it takes long."""
    sample = cell.penalty or cell.target.forwards <= FEW_FORWARDS
    wanted = [head for head in heads if head.name == "default" or not cell.samples_slowly]
    return [Job(head, cell.target.name, sample=sample) for head in wanted]


def head_entry(cell: Cell, job: Job, path: Path) -> Entry:
    """A package; the default's name says which head it was given."""
    name = job.head.name if job.head.head else f"{job.head.name} ({planned(path)['head']})"
    return Entry(name, planned(path)["bytes"], lambda: packaged(path, cell.data(), cell.penalty, cell.steps))


def rival_entries(cell: Cell, weights: int, rivals: Sequence[Rival] = RIVALS) -> list[Entry]:
    """Rivals with fused Adam, and torchhyper with one dataset also with torch's default Adam, as its users have it,
    where its steps are quick."""
    entries = []
    for rival in rivals:
        size = round(rival.copies * weights)
        if cell.large or cell.samples_slowly or (size > HEAVY and (cell.penalty or cell.datasets > 1)):
            continue
        shipped = rival.name == SHIPPED and cell.target.large and cell.datasets == 1 and not cell.penalty
        for fused in (True, False) if shipped else (True,):
            entries.append(rival_entry(cell, rival, size, fused))
    return entries


def rival_entry(cell: Cell, rival: Rival, size: int, fused: bool) -> Entry:
    name = rival.name if fused else f"{rival.name}, default Adam"
    needed = (16 if fused else 24) * size  # the default holds copies while it updates

    def build() -> Contender:
        return rival_contender(rival, cell.target.make(), cell.data(), cell.penalty, fused, cell.steps)

    return Entry(name, needed, build)
