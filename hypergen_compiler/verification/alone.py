"""Runs an emitted package where the model that it came from is not at hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypergen_compiler.verification.findings import BATCHES, SEED, Check, Verification
from hypergen_compiler.verification.process import VerificationProcess, WorkerFailure

__all__ = ["run_package"]


def run_package(
    folder: Path,
    name: str,
    examples: Mapping[str, Callable[[int], tuple[Any, ...]]],
    *,
    batches: Sequence[int] = BATCHES,
) -> Verification:
    """Runs every entry point of a package, with its own weights, where the model is not at hand to compare with.

    `examples` gives the inputs of each entry point. Raises HG602 if the package does not import.
    """
    with VerificationProcess() as worker:
        worker.load(folder, name)
        try:
            initial = worker.initial()
            worker.hold(initial["parameters"], initial["buffers"])
        except WorkerFailure as failure:
            return Verification((Check("initial_weights", "any", 0, "own", "run", False, False, str(failure)),))
        calls = itertools.product(examples.items(), ("training", "evaluation"))
        checks = [check for call, mode in calls for check in run_calls(worker, *call, mode, batches)]
    return Verification(tuple(checks))


def run_calls(
    worker: VerificationProcess,
    entry: str,
    example: Callable[[int], tuple[Any, ...]],
    mode: str,
    batches: Sequence[int],
) -> list[Check]:
    """A check for each batch size at which an entry point runs, or if it runs at none, for its last failure.

    Without the model there is no telling whether it would run at a size that fails, such as 1 before a BatchNorm.
    """
    checks = []
    for n in batches:
        worker.run(entry, example(n), mode == "training", SEED + n)
        try:
            worker.answer()
            checks.append(Check(entry, mode, n, "own", "run", True, False, "runs"))
        except WorkerFailure as failure:
            checks.append(Check(entry, mode, n, "own", "run", False, False, str(failure)))
    return [check for check in checks if check.ok] or checks[-1:]
