"""How much the experiment `fairness` trains, what it asks for, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypergen_compiler.errors import Progress
from hypergen_compiler.evidence.fairness.families import Family
from hypergen_compiler.evidence.fairness.recipes import (
    CALIBRATED,
    LITERAL,
    MAIN,
    NO_PENALTY,
    PARTS,
    RECIPES,
    UNPENALISED_CALIBRATED,
    Recipe,
)
from hypergen_compiler.evidence.fairness.values import Values
from hypergen_compiler.evidence.kept import Kept

__all__ = [
    "BRIEF",
    "CONCENTRATION",
    "FULL",
    "HALF",
    "LADDER",
    "MIXTURES",
    "NEAREST",
    "OWN",
    "PLAIN",
    "QUICK",
    "REAL",
    "REQUESTED",
    "TOLD",
    "TOLD_EVENLY",
    "Contest",
    "Effort",
    "Found",
    "Results",
]

REQUESTED = (0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.95)
MIXTURES = 8  # of all classes
CONCENTRATION = 0.3  # of the Dirichlet distribution that they are drawn from
REAL, PLAIN = "test pictures", "plain"
TOLD, TOLD_EVENLY = "plain, told the class", "plain, told the class, balanced"
LADDER, NEAREST, HALF = "plain, a training for each share", "plain, oversampled to draw the share", "plain, balanced"

Found = dict[str, list[Values]]  # of each method, one a seed


@dataclass(frozen=True)
class Effort:
    """How much is trained: for a pair and for all classes (`mixed`) the steps and the recipes, `workers` at a time."""

    seeds: int
    steps: int
    mixed_steps: int
    recipes: tuple[Recipe, ...]
    mixed_recipes: tuple[Recipe, ...]
    workers: int = 2


@dataclass(frozen=True)
class Contest:
    """What every part of the experiment is given: the models, how their packages train that are given nothing but a
    number of steps, how much is trained, what is done already, and whom to tell."""

    family: Family
    usual: dict[str, Any]
    effort: Effort
    kept: Kept
    tell: Progress


@dataclass(frozen=True)
class Results:
    """What was measured of a model of a `family` on `data`, with how much training; `pair` are the common and the rare
    class.

    `name` is what files of it are called; `counts` are the training pictures of the two; `usual` is a Contest's.
    """

    name: str
    family: str
    data: str
    pair: tuple[int, int]
    share: float
    counts: tuple[int, int]
    seeds: int
    steps: int
    mixed_steps: int
    usual: dict[str, Any]
    of_pair: Found
    of_mixtures: Found


QUICK = Effort(2, 300, 300, (PARTS, NO_PENALTY, MAIN, CALIBRATED), (MAIN, CALIBRATED))
FULL = Effort(4, 1000, 2000, RECIPES, (NO_PENALTY, LITERAL, MAIN, UNPENALISED_CALIBRATED, CALIBRATED))
FEW = (NO_PENALTY, MAIN, CALIBRATED)
OWN = Effort(4, 1000, 2000, FEW, FEW)  # of a file's pictures
BRIEF = Effort(4, 800, 800, FEW, FEW, workers=1)  # of families but VAEs
