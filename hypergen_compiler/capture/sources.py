"""What each tensor of a run was computed from: inputs, weights, buffers, constants and random draws."""

from __future__ import annotations

from collections.abc import Iterable

from hypergen_compiler.capture.tape import Call, Ref, Tape

__all__ = ["RANDOM", "Sources"]

RANDOM = Ref("random", 0)
NOTHING: frozenset[Ref] = frozenset()
SHAPE_ONLY = frozenset(
    "zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full".split()
)


class Sources:
    """`found` are the sources of values, `written` those of what was written into a storage."""

    def __init__(self, tape: Tape):
        self.tape = tape
        self.found: dict[Ref, frozenset[Ref]] = {}
        self.written: dict[int, frozenset[Ref]] = {}

    def of(self, refs: Iterable[Ref]) -> frozenset[Ref]:
        """What tensors were computed from, and what was written into their memory."""
        return NOTHING.union(*map(self.of_one, refs))

    def of_one(self, ref: Ref) -> frozenset[Ref]:
        own = self.found.get(ref, NOTHING) if ref.kind == "value" else frozenset((ref,))
        return own | self.written.get(self.tape.storages[ref], NOTHING)

    def see(self, call: Call, read: frozenset[Ref], made: Iterable[Ref]) -> None:
        """Notes a call: `read` are the sources of its arguments, `made` its results."""
        sources = NOTHING if call.name.rpartition(".")[2] in SHAPE_ONLY else read
        if call.random:
            sources |= {RANDOM}
        for storage in call.writes:
            self.written[storage] = self.written.get(storage, NOTHING) | sources
        for ref in made:
            if ref.kind == "value":
                self.found[ref] = self.found.get(ref, NOTHING) | sources
