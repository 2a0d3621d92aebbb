"""Compares calls of an emitted package with the model's own, one entry point in one mode at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hypergen_compiler.capture.prepare import seeded
from hypergen_compiler.verification.compare import Comparison, compare_gradients, compare_outputs, compare_states
from hypergen_compiler.verification.findings import SEED, Check
from hypergen_compiler.verification.observation import buffers_of, observe_model, preserved_buffers
from hypergen_compiler.verification.process import VerificationProcess, WorkerFailure
from hypergen_compiler.verification.reference import observe_exactly

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["compare_calls"]


def compare_calls(
    worker: VerificationProcess,
    model: nn.Module,
    point: EntryPoint,
    weights: str,
    training: bool,
    batches: Sequence[int],
    notes: list[str],
) -> Iterator[Check]:
    """The checks of one entry point in one mode; a failure of the model itself becomes a note, or a check if it always
    fails, since then nothing was compared."""
    mode = "training" if training else "evaluation"
    failures: list[str] = []
    before = buffers_of(model)
    for n in batches:
        with seeded():
            inputs = point.example(n)
        worker.run(point.name, copies(inputs), training, SEED + n)
        try:
            with preserved_buffers(model):
                expected: dict[str, Any] | Exception = observe_model(model, point, copies(inputs), training, SEED + n)
        except Exception as error:
            expected = error
        try:
            actual: dict[str, Any] | WorkerFailure = worker.answer()
        except WorkerFailure as failure:
            actual = failure
        if isinstance(expected, Exception):
            first_line = (str(expected).splitlines() or [""])[0]
            failures.append(f"at a batch of {n} the model itself fails: {type(expected).__name__}: {first_line}")
        elif isinstance(actual, WorkerFailure):
            yield Check(point.name, mode, n, weights, "run", False, False, str(actual))
        else:
            found = compare_call(model, point, inputs, training, SEED + n, expected, actual, before)
            for what, (ok, exact, detail) in found.items():
                yield Check(point.name, mode, n, weights, what, ok, exact, detail)
    if len(failures) == len(batches):
        yield Check(point.name, mode, batches[-1], weights, "run", False, False, f"not compared: {failures[-1]}")
    elif weights == "own":
        notes += [f"{point.name}, {mode} mode: {failure}" for failure in failures]


def compare_call(
    model: nn.Module,
    point: EntryPoint,
    inputs: tuple[Any, ...],
    training: bool,
    seed: int,
    expected: dict[str, Any],
    actual: dict[str, Any],
    before: dict[str, Tensor],
) -> dict[str, Comparison]:
    """What `compare` finds; where results differ, beside the model in float64, if the model repeats itself at all."""
    found = compare(expected, actual, before)
    if agree(found):
        return found
    with preserved_buffers(model):
        again = observe_model(model, point, copies(inputs), training, seed)
        if not agree(compare(expected, again, before)):
            return {"repeat": Comparison(False, False, "the model gives something else when it is called again")}
    with preserved_buffers(model):
        reference = observe_exactly(model, point, copies(inputs), training, seed)
    return compare(expected, actual, before, reference or {})


def agree(found: Mapping[str, Comparison]) -> bool:
    return all(comparison.ok for comparison in found.values())


def compare(
    expected: dict[str, Any], actual: dict[str, Any], before: dict[str, Tensor], reference: dict[str, Any] | None = None
) -> dict[str, Comparison]:
    """Gradients only where the model has some: a sampler without gradient may be emitted with one.

    What became of the inputs, and how far torch's generator moved, is told only where it differs.
    """
    exact = reference or {}
    found = {"output": compare_outputs(expected["output"], actual["output"], exact.get("output"))}
    if expected["gradients"] is not None and found["output"].ok:
        found["gradients"] = compare_gradients(expected["gradients"], actual["gradients"], exact.get("gradients"))
    if expected["state"]:
        found["state"] = compare_states(expected["state"], actual["state"], before, exact.get("state"))
    inputs = compare_outputs(expected["inputs"], actual["inputs"])
    if not inputs.ok:
        found["inputs"] = inputs
    if not torch.equal(expected["generator"], actual["generator"]):
        found["random"] = Comparison(False, False, "other random numbers are drawn than by the model")
    return found


def copies(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs of one call, which may write to them."""
    return tuple(
        item.detach().clone().requires_grad_(item.requires_grad) if isinstance(item, torch.Tensor) else item
        for item in inputs
    )
