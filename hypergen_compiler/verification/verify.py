"""Verification: every entry point of an emitted package against the model itself, in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import Tensor, nn

from hypergen_compiler.capture.fake import needs_faking
from hypergen_compiler.capture.prepare import seeded
from hypergen_compiler.verification.calls import compare_calls
from hypergen_compiler.verification.causes import attributes_of, causes
from hypergen_compiler.verification.compare import compare_gradients, compare_outputs, compare_states
from hypergen_compiler.verification.findings import BATCHES, SEED, Check, Verification
from hypergen_compiler.verification.observation import (
    buffers_of,
    parameters_of,
    perturb,
    preserved,
)
from hypergen_compiler.verification.process import VerificationProcess, WorkerFailure
from hypergen_compiler.verification.together import DATASETS

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["verify_package"]

TOGETHER = 5  # items in each of several datasets that share a pass


def verify_package(
    folder: Path,
    name: str,
    model: nn.Module,
    entry_points: Sequence[EntryPoint],
    *,
    batches: Sequence[int] = BATCHES,
    start: bool = False,
    modeless: Collection[str] = (),
    only: Mapping[str, str | None] = MappingProxyType({}),
    loss: str | None = None,
    process: VerificationProcess | None = None,
) -> Verification:
    """Runs the package in `folder`, called `name`, and `model`, and compares outputs, gradients and states.

    In training and evaluation mode, at each batch size, with the model's own weights and with perturbed ones. With
    `start` also that the package starts from the model's present weights and buffers. Entry points among
    `modeless`, of which a recording has shown that the mode changes nothing, are run in one mode with each of the
    weights, and those of `only` in the one mode that the model runs in. Given the name of the `loss`, also that a
    pass over several datasets does what one over each would, where the package has such a pass. A batch size at
    which the model itself fails is skipped with a note; a model without values, or too large to run here, is not
    compared at all. The model is left as it was. Raises HG602 if the package does not import.
    """
    notes: list[str] = []
    with nullcontext(process) if process else VerificationProcess() as worker:
        worker.load(folder, name)
        if needs_faking(model):
            return Verification((), ("not compared with the model, which has no values or is too large to run here",))
        with preserved(model):
            modes = {point.name: (True, False) for point in entry_points} | {
                name: (mode == "training",) for name, mode in only.items() if mode
            }
            attributes = attributes_of(model)
            checks = compare_all(worker, model, entry_points, batches, start, modes, modeless, notes)
            checks += [
                check for point in entry_points if point.name == loss for check in compare_together(worker, point)
            ]
            checks += causes(model, attributes, entry_points, [check for check in checks if not check.ok])
    return Verification(tuple(checks), tuple(notes))


def compare_all(
    worker: VerificationProcess,
    model: nn.Module,
    entry_points: Sequence[EntryPoint],
    batches: Sequence[int],
    start: bool,
    modes: Mapping[str, tuple[bool, ...]],
    modeless: Collection[str],
    notes: list[str],
) -> list[Check]:
    """The checks of every entry point; they leave the model's weights changed."""
    checks = [compare_start(worker, model)] if start else []
    for weights in ("own", "perturbed"):
        if weights == "perturbed":
            perturb(model, entry_points, SEED)
        try:
            worker.hold(parameters_of(model), buffers_of(model))
        except WorkerFailure as failure:
            checks.append(Check("pack", "any", 0, weights, "run", False, False, str(failure)))
            continue
        for point in entry_points:
            known = modes[point.name]
            for training in (weights == "perturbed",) if point.name in modeless and len(known) > 1 else known:
                checks += compare_calls(worker, model, point, weights, training, batches, notes)
    return checks


def compare_together(worker: VerificationProcess, point: EntryPoint) -> Iterator[Check]:
    """The checks of the pass that several datasets share; none where the package has no such pass."""
    n = DATASETS * TOGETHER
    with seeded():
        inputs = tuple(item.detach() for item in point.example(n) if isinstance(item, Tensor))
    try:
        found = worker.together(inputs)
    except WorkerFailure as failure:
        yield Check(point.name, "training", n, "perturbed", "together", False, False, str(failure))
        return
    if found:
        apart, together = found["apart"], found["together"]
        results = {
            "output": compare_outputs(["list", None, apart["output"]], ["list", None, together["output"]]),
            "gradients": compare_gradients(apart["gradients"], together["gradients"]),
            "state": compare_states(apart["state"], together["state"], apart["state"]),
        }
        for what, (ok, _, detail) in results.items():
            yield Check(point.name, "training", n, "perturbed", "together", ok, True, f"{what}: {detail}")


def compare_start(worker: VerificationProcess, model: nn.Module) -> Check:
    """Whether the package, given nothing, starts from the model's weights and buffers."""
    wanted = {"parameters": parameters_of(model), "buffers": buffers_of(model)}
    different = []
    try:
        initial = worker.initial()
        for kind, tensors in wanted.items():
            for name, tensor in tensors.items():
                got = initial[kind].get(name)
                if got is None and kind == "buffers":
                    continue  # one that no entry point uses
                if got is None or not compare_outputs(tensor.detach(), got).exact:
                    different.append(name)
    except WorkerFailure as failure:
        return Check("initial_weights", "any", 0, "own", "run", False, False, str(failure))
    detail = f"not the model's: {', '.join(different[:5])}" if different else "equal bit for bit"
    return Check("initial_weights", "any", 0, "own", "start", not different, not different, detail)
