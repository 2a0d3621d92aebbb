"""The hypernetworks that HyperGen can emit, as rows of the benchmark; what the installed one lacks is skipped."""

from __future__ import annotations

import inspect
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

import hypergen_compiler as hypergen
from benchmarks.targets import TARGETS, Linears

__all__ = ["HEADS", "Compiled", "Head", "Job", "compile_all"]


@dataclass(frozen=True)
class Head:
    """`head` and `budget` as `hypergen.compile` takes them, None for its own choice."""

    name: str
    head: str | None = None
    budget: str | None = None

    def arguments(self) -> dict[str, str]:
        """For `hypergen.compile`. Raises LookupError where it knows no other head than a low-rank one."""
        offered = "head" in inspect.signature(hypergen.compile).parameters
        if self.head not in (None, "low-rank") and not offered:
            raise LookupError("this HyperGen has low-rank heads alone")
        asked = {"head": self.head if offered else None, "budget": self.budget}
        return {name: value for name, value in asked.items() if value is not None}


HEADS = (
    Head("default"),
    Head("biases", "biases"),
    Head("biases and gains", "gains"),
    Head("low rank 4", "low-rank", "5x"),
    Head("low rank 8", "low-rank", "9x"),
    Head("low rank 16", "low-rank", "17x"),
    Head("factors", "factors"),
    Head("chunked with base", "chunked"),
    Head("chunked alone", "chunked-alone"),
    Head("dense", "dense"),
)


@dataclass(frozen=True)
class Job:
    """One package to compile: of a target by name, or of `layers` layers of a million weights each."""

    head: Head
    target: str = ""
    layers: int = 0
    sample: bool = False

    @property
    def package(self) -> str:
        name = self.target or f"linears_{self.layers}"
        return f"{name}_{'sampled_' if self.sample else ''}{self.head.name.replace(' ', '_')}"


@dataclass(frozen=True)
class Compiled:
    """The folder of a package, or why there is none."""

    job: Job
    path: Path | None
    reason: str = ""


def compile_all(jobs: Sequence[Job], folder: Path, processes: int = 2) -> list[Compiled]:
    """Compiles packages side by side, before anything is timed."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(compile_one, jobs, [folder] * len(jobs)))


def compile_one(job: Job, folder: Path) -> Compiled:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = TARGETS[job.target].make() if job.target else Linears(job.layers)
    example = TARGETS[job.target].data(2) if job.target else torch.rand(2, 1000)
    path = folder / job.package
    try:
        arguments = job.head.arguments()
        hypergen.compile(model, example, out=path, sample="sample" if job.sample else None, **arguments)
    except (LookupError, hypergen.HyperGenError) as error:
        return Compiled(job, None, getattr(error, "what", None) or str(error))
    return Compiled(job, path)
