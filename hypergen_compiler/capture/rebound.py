"""Tensors that a run replaces or writes into, so that the recorded calls leave behind what the run left."""

from __future__ import annotations

import torch

from hypergen_compiler.capture.tape import Call, Ref, Tape, references

__all__ = ["keep_written_constants", "rebind"]


def rebind(tape: Tape, bound: dict[Ref, Ref]) -> None:
    """Buffers that the run replaced, by the values that they are now, are copied into after everything else.

    Where an old value is still needed, by another such buffer or by a gradient, it is kept in a clone from the start.
    """
    tape.rebound = {str(buffer.key): value for buffer, value in bound.items()}
    copies = []
    for buffer in bound:
        if is_needed_later(tape, buffer, bound):
            copies.append(keep_in_clone(tape, buffer))
    tape.calls[:0] = copies
    for name, value in tape.rebound.items():
        buffer = Ref("buffer", name)
        writes = frozenset((tape.storages[buffer],))
        copy = Call(torch.Tensor.copy_, "Tensor.copy_", (buffer, value), {}, grad=False, out=buffer, writes=writes)
        copy.scope = tape.root
        tape.calls.append(copy)


def is_needed_later(tape: Tape, buffer: Ref, bound: dict[Ref, Ref]) -> bool:
    """Whether writing into a buffer would spoil what a gradient, another copy or the caller reads."""
    storage = tape.storages[buffer]
    if any(storage in call.writes for call in tape.calls):
        return False
    if any(tape.storages[value] == storage for other, value in bound.items() if other != buffer):
        return True
    reads = [(call.args, call.kwargs) for call in tape.calls if call.tracked]
    return any(tape.storages[ref] == storage for ref in references((reads, tape.out)))


def keep_written_constants(tape: Tape) -> None:
    """Constants that the run writes into are cloned first, so that the next run finds them as they were."""
    written = frozenset().union(*(call.writes for call in tape.calls))
    tape.calls[:0] = [keep_in_clone(tape, ref) for ref in tape.constants if tape.storages[ref] in written]


def keep_in_clone(tape: Tape, kept: Ref) -> Call:
    """A clone that stands for a buffer or constant in all calls of the tape."""
    clone = Call(torch.Tensor.clone, "Tensor.clone", (kept,), {}, grad=False, out=tape.substitute(kept))
    clone.scope = tape.root
    return clone
