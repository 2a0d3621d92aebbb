"""Models that finish building themselves in their first call: lazy layers, caches, data-dependent initialisation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hypergen_compiler.capture.entry import EntryPoint, place
from hypergen_compiler.capture.fake import needs_faking
from hypergen_compiler.capture.prepare import fresh_copy, seeded
from hypergen_compiler.capture.recorder import Recorder, run
from hypergen_compiler.capture.tape import Escape, Tape, tensors
from hypergen_compiler.errors import HyperGenError, HyperGenWarning

__all__ = ["changing_decisions", "warmed"]

BATCH = 11  # of the call that is made for what it leaves behind


def warmed(model: nn.Module, points: Sequence[EntryPoint]) -> nn.Module:
    """The model itself or, if its first calls change what it is, a copy after these calls.

    New parameters and buffers keep the model's values wherever it had any. A model that decides by its own state to
    initialise itself, as ActNorm does (arXiv 1807.03039, section 3.1), is taken as initialised from the example, with
    a warning. One that cannot be copied, or has no values to run on, is taken to be complete.

    Raises HG202 for a lazy one that cannot be copied.
    """
    if not any(map(is_lazy, model.parameters())) and needs_faking(model):
        return model
    copy = fresh_copy(model)
    if copy is model:
        if any(map(is_lazy, (*model.parameters(), *model.buffers()))):
            raise HyperGenError(
                "HG202",
                f"{type(model).__name__} has lazy layers that have not seen a batch yet and cannot be copied",
                remedy="Call the model on a batch before compiling it.",
            )
        return model
    set_training(copy)
    decides = any([first_call(copy, point) for point in points])
    known, made = all_tensors(model), all_tensors(copy)
    if decides and not any([first_call(copy, point) for point in points]):
        warnings.warn(
            f"{type(model).__name__} initialises itself in its first call: the package holds it as initialised on the "
            "example. Call the model on a batch of real data before compiling it for a better start",
            HyperGenWarning,
            stacklevel=2,
        )
        copy.train(model.training)
        return copy
    if known.keys() == made.keys() and not any(map(is_lazy, known.values())):
        return model
    with torch.no_grad():
        for name in known.keys() & made.keys():
            if not is_lazy(known[name]):
                made[name].copy_(known[name])
    copy.train(model.training)
    return copy


def set_training(model: nn.Module) -> None:
    """Raises HG202 for a model that does not let its mode be set."""
    try:
        model.train()
    except Exception as error:
        raise HyperGenError(
            "HG202",
            f"{type(model).__name__} fails in train(): {type(error).__name__}: {error}",
            where=place(type(model)),
            remedy="Every module must take train() and eval(); one that holds itself, by way of its parts, does not.",
        ) from error


def first_call(model: nn.Module, point: EntryPoint) -> bool:
    """Runs an entry point; whether a decision in it was taken from state that the same call changes."""
    with suppress(Exception), seeded():  # a call that fails is reported when it is recorded
        inputs = point.example(BATCH)
        if any(map(is_lazy, model.parameters())):
            point.call(model, *inputs)
            return False
        recorder = Recorder(model, tensors(inputs), scopes=False)
        run(recorder, point.call, model, inputs)
        return bool(changing_decisions(recorder.tape))
    return False


def changing_decisions(tape: Tape) -> list[Escape]:
    """The escapes that come from buffers which the run writes: another call would decide otherwise."""
    written = frozenset().union(*(call.writes for call in tape.calls)) if tape.calls else frozenset()
    changed = {ref for ref, storage in tape.storages.items() if ref.kind == "buffer" and storage in written}
    return [escape for escape in tape.escapes if escape.buffers & changed and not escape.guard]


def all_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
