"""Training and evaluation, recorded apart, to one tape where they differ in flags only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from hypergen_compiler.capture.tape import Call, Ref, Tape, references, same_values
from hypergen_compiler.program import Choice, Container

__all__ = ["merge_modes"]

PLAIN = (bool, int, float, type(None))
SAME_VALUES = frozenset({"Tensor.contiguous"})  # what training alone may do to a value that evaluation leaves as it is
LOOK_AHEAD = 12  # calls that training alone may make in a row, such as a layer's bookkeeping


class Different(Exception):
    """The two modes are different programs."""


def merge_modes(training: Tape, evaluation: Tape) -> Tape | None:
    """The training tape with `Choice`s for values that differ, or None where the modes are different programs.

    Calls that training makes alone, such as counting batches, are kept and marked, as long as nothing that both modes
    compute reads their results.
    """
    matching = Matching(training, evaluation)
    try:
        matching.align()
    except Different:
        for call in training.calls:
            call.mode = None
        return None
    return training


class Matching:
    """Walks two tapes; `images` maps a tensor of the training run to the same tensor of the evaluation run."""

    def __init__(self, training: Tape, evaluation: Tape):
        self.training, self.evaluation = training, evaluation
        self.images: dict[Ref, Ref] = {}
        self.pending: list[tuple[Call, Any, Any]] = []
        self.pairs: list[tuple[Call, Call]] = []

    def align(self) -> None:
        ours, theirs = self.training.calls, self.evaluation.calls
        i = j = 0
        while i < len(ours):
            if ours[i].name in SAME_VALUES and not (j < len(theirs) and self.matches(ours[i], theirs[j])):
                self.images[ours[i].out] = self.image(ours[i].args[0], None)
                i += 1
                continue
            skipped = 0
            while not (j < len(theirs) and self.matches(ours[i + skipped], theirs[j])):
                skipped += 1
                if skipped > LOOK_AHEAD or i + skipped >= len(ours):
                    if j < len(theirs):
                        raise Different
                    skipped = len(ours) - i
                    break
            for call in ours[i : i + skipped]:
                call.mode = "training"
            i += skipped
            if i < len(ours):
                self.pair(ours[i], theirs[j])
                i, j = i + 1, j + 1
        if j < len(theirs):
            raise Different
        out = self.unify(self.training.out, self.evaluation.out)
        self.unify(self.training.rebound, self.evaluation.rebound)
        self.check_marked()
        self.check_writes()
        for call, args, kwargs in self.pending:
            call.args, call.kwargs = args, kwargs
        self.training.out = out

    def check_marked(self) -> None:
        """A call of one mode must leave through effects on weights and buffers alone."""
        alone = {
            ref for call in self.training.calls if call.mode for ref in references(call.out) if ref.kind == "value"
        }
        shared = [call for call in self.training.calls if not call.mode]
        read = {ref for call in shared for ref in references((call.args, call.kwargs))}
        if alone & (read | set(references(self.training.out))):
            raise Different
        if any(call.random for call in self.training.calls if call.mode):
            raise Different

    def check_writes(self) -> None:
        """What is written into shares memory with the same tensors in both modes, as far as they are read again.

        Dropout in evaluation returns its input, and what is written into its result changes that too.
        """
        own, other = self.training.storages, self.evaluation.storages
        kept = [ref for ref in own if ref.kind in ("parameter", "buffer", "input")]
        images = {**self.images, **dict(zip(kept, kept, strict=True))}
        read = {ref: number for number, call in enumerate(self.training.calls) for ref in read_by(call)}
        end = len(self.training.calls)
        read |= dict.fromkeys([*kept, *references((self.training.out, self.training.rebound))], end)
        numbers = {id(call): number for number, call in enumerate(self.training.calls)}
        for ours, theirs in self.pairs:
            for target in read_by(ours) if ours.writes or theirs.writes else ():
                image = images.get(target)
                if own[target] not in ours.writes and other.get(image) not in theirs.writes:
                    continue
                later = (ref for ref in images if read.get(ref, -1) > numbers[id(ours)])
                if any((own[ref] == own[target]) != (other.get(images[ref]) == other.get(image)) for ref in later):
                    raise Different

    def matches(self, ours: Call, theirs: Call) -> bool:
        if ours.name != theirs.name or ours.grad != theirs.grad or ours.layer != theirs.layer:
            return False
        try:
            self.unify((ours.args, ours.kwargs), (theirs.args, theirs.kwargs))
        except Different:
            return False
        return True

    def pair(self, ours: Call, theirs: Call) -> None:
        args, kwargs = self.unify((ours.args, ours.kwargs), (theirs.args, theirs.kwargs))
        self.pending.append((ours, args, kwargs))
        self.pairs.append((ours, theirs))
        made, their_made = list(references(ours.out)), list(references(theirs.out))
        if len(made) != len(their_made):
            raise Different
        for ref, image in zip(made, their_made, strict=True):
            if ref.kind == "value" and self.images.setdefault(ref, image) != image:
                raise Different

    def unify(self, ours: Any, theirs: Any) -> Any:
        if isinstance(ours, Ref):
            if not isinstance(theirs, Ref) or self.image(ours, theirs) != theirs:
                raise Different
            return ours
        if isinstance(ours, slice) and isinstance(theirs, slice):
            return slice(*(self.unify(getattr(ours, p), getattr(theirs, p)) for p in ("start", "stop", "step")))
        if isinstance(ours, Container):
            if ours != theirs:
                raise Different
            return replace(ours, values=self.unify(ours.values, theirs.values))
        if isinstance(ours, tuple | list):
            if type(ours) is not type(theirs) or len(ours) != len(theirs):
                raise Different
            items = [self.unify(one, other) for one, other in zip(ours, theirs, strict=True)]
            return type(ours)(*items) if hasattr(ours, "_fields") else type(ours)(items)
        if isinstance(ours, dict):
            if not isinstance(theirs, dict) or ours.keys() != theirs.keys():
                raise Different
            return {key: self.unify(ours[key], theirs[key]) for key in ours}
        if type(ours) is type(theirs) and (ours is theirs or same_plain(ours, theirs)):
            return ours
        if isinstance(ours, PLAIN) and isinstance(theirs, PLAIN):
            return Choice(ours, theirs)
        if isinstance(ours, torch.Generator):
            return ours
        raise Different

    def image(self, ours: Ref, theirs: Ref | None) -> Ref | None:
        if ours.kind == "value":
            return self.images.get(ours)
        if ours.kind == "constant" and theirs is not None and theirs.kind == "constant":
            mine, other = self.training.constants[ours], self.evaluation.constants[theirs]
            return theirs if same_values(mine, other) else None
        return ours


def read_by(call: Call) -> list[Ref]:
    return list(references((call.args, call.kwargs)))


def same_plain(one: Any, other: Any) -> bool:
    if isinstance(one, Callable):
        return True
    try:
        return bool(one == other)
    except (RuntimeError, ValueError, TypeError):
        return False
