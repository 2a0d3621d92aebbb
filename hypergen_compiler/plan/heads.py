"""The heads that can be emitted: what turns an embedding into the part of the weights that depends on the dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypergen_compiler.layout import ParameterLayout, Slot
from hypergen_compiler.plan.encoder import POOLED
from hypergen_compiler.program import Program

__all__ = [
    "BYTES",
    "CHUNK_FEATURES",
    "HEADS",
    "HIDDEN",
    "LEARNED_ENCODERS",
    "READ_MOMENTS",
    "SHARING",
    "USUAL_RANK",
    "Candidate",
    "is_matrix",
    "left_out",
    "of_head",
    "of_rank",
    "sides",
    "weighed",
]

BYTES = 16  # of memory per parameter in training: the value, its gradient and the two moments of Adam, 4 bytes each
HEADS = ("dense", "low-rank", "factors", "biases", "gains", "chunked", "chunked-alone", "base")
SHARING = ("biases", "gains")  # heads that allow one pass of the model over all datasets of a step
LEARNED_ENCODERS = ("low-rank", "factors", *SHARING, "chunked", "chunked-alone")  # others read what is pooled as it is
READ_MOMENTS = ("dense", "low-rank", "biases")  # heads with a base and one matrix over the embedding
LARGEST_RANK = 32
USUAL_RANK = 16
LEAST_RANK = 4  # below it a chunked head, which is smaller, is taken where it fits
CHUNK_FEATURES = 16  # numbers that a chunked head learns of every chunk
HIDDEN = 64  # width of a chunked head's hidden layer


@dataclass(frozen=True)
class Candidate:
    """A hypernetwork that could be emitted: its head, the length of the embedding, and the elements of a chunk.

    `parameters` are those of head and base, without the set encoder's; `conditioned` is how many elements of the buffer
    the head changes, and gains that it makes. `together` tells that all datasets of a step share one pass of the model.
    """

    head: str
    rank: int
    parameters: int
    conditioned: int
    chunk: int | None = None
    together: bool = False

    @property
    def bytes(self) -> int:
        return BYTES * self.parameters

    @property
    def all_parameters(self) -> int:
        return self.parameters + (POOLED * self.rank if self.head in LEARNED_ENCODERS else 0)


def weighed(layout: ParameterLayout) -> Iterator[Candidate]:
    """What the planner chooses from when it is free to, the most capable first."""
    if not layout.conditioned:
        yield from of_head("base", layout)
        return
    low_rank = list(of_head("low-rank", layout))
    yield from (option for option in low_rank if option.rank >= LEAST_RANK)
    yield from of_head("chunked", layout)
    yield from (option for option in low_rank if option.rank < LEAST_RANK)
    yield from of_head("chunked-alone", layout)


def of_head(head: str, layout: ParameterLayout) -> Iterator[Candidate]:
    """Every size in which a model can have a head, the most capable first; none where it cannot have it.

    `layout` is that in which every tensor is conditioned that the user does not keep.
    """
    trained, conditioned = layout.trained, layout.conditioned
    if head == "base":
        yield Candidate(head, POOLED, trained, 0)
    elif not conditioned and head != "gains":
        return
    elif head == "dense":
        yield Candidate(head, POOLED, trained + POOLED * conditioned, conditioned)
    elif head in ("chunked", "chunked-alone"):
        chunk = chunk_size(conditioned)
        mixing = CHUNK_FEATURES * -(-conditioned // chunk) + HIDDEN * (CHUNK_FEATURES + USUAL_RANK + chunk)
        base = trained if head == "chunked" else trained - conditioned
        yield Candidate(head, USUAL_RANK, base + mixing, conditioned, chunk)
    else:
        per_rank = elements_per_rank(head, layout)
        matrices = any(slot.conditioned and is_matrix(slot) for slot in layout.slots)
        needed = {"factors": matrices, "gains": layout.gains > 0}
        if per_rank and needed.get(head, True):
            changed = per_rank if head in SHARING else conditioned
            for rank in range(LARGEST_RANK, 0, -1):
                yield Candidate(head, rank, trained + rank * per_rank, changed)


def of_rank(candidate: Candidate, rank: int, layout: ParameterLayout) -> Candidate:
    """A head of one matrix over an embedding of another length."""
    per_rank = layout.conditioned if candidate.head == "dense" else elements_per_rank(candidate.head, layout)
    return replace(candidate, rank=rank, parameters=layout.trained + rank * per_rank)


def elements_per_rank(head: str, layout: ParameterLayout) -> int:
    """How many parameters one more number in the embedding costs the head."""
    if head == "low-rank":
        return layout.conditioned
    conditioned = [slot for slot in layout.slots if slot.conditioned]
    vectors = sum(layout.room(slot) for slot in conditioned if not is_matrix(slot))
    if head in SHARING:
        return vectors + (layout.gains if head == "gains" else 0)
    return vectors + sum(sum(sides(slot)) for slot in conditioned if is_matrix(slot))


def is_matrix(slot: Slot) -> bool:
    """Whether a tensor has more than one dimension, as kernels do."""
    return len(slot.shape) > 1


def sides(slot: Slot) -> tuple[int, int]:
    """A matrix's or kernel's outputs, and its inputs times the kernel's places."""
    return slot.shape[0], math.prod(slot.shape[1:])


def chunk_size(elements: int) -> int:
    """The size of a chunk, a multiple of 16, with which chunk features and output layer take about the same memory."""
    return 16 * max(1, round(math.sqrt(elements * CHUNK_FEATURES / HIDDEN) / 16))


def left_out(program: Program, head: str) -> frozenset[str]:
    """The names of the parameters that a head does not condition, whatever the user keeps."""
    if head == "base":
        return frozenset(parameter.name for parameter in program.parameters)
    if head in SHARING:
        return frozenset(parameter.name for parameter in program.parameters if parameter.value.dim() > 1)
    return frozenset()
