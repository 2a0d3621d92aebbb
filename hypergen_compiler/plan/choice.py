"""The planner: from a layout and a budget to the hypernetwork that is emitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan.budget import in_bytes
from hypergen_compiler.plan.encoder import MOMENTS, FeatureEncoder, batch_inputs, by_moments, feature_encoder
from hypergen_compiler.plan.heads import (
    BYTES,
    HEADS,
    LEARNED_ENCODERS,
    READ_MOMENTS,
    USUAL_RANK,
    Candidate,
    of_head,
    of_rank,
    weighed,
)
from hypergen_compiler.plan.penalty import is_statistical, penalty_and_space
from hypergen_compiler.program import Program

__all__ = ["Plan", "choose", "plan"]

USUAL_MEMORY = 4 * 2**30  # bytes that a hypernetwork takes where no budget is given; beyond them it becomes smaller


@dataclass(frozen=True)
class Plan:
    """What was chosen: `parameters` of the hypernetwork, all told, and the `bytes` that training them takes.

    `together` tells that all datasets of a step go through the model in one pass, `apart` that they were found not to
    agree in one. `rank` is the length of the embedding, `chunk` how many elements a chunked head emits at once.
    `encoder` has one part per tensor that the loss takes, or the first entry point where there is no loss. `budget`,
    `asked` (a head) and `keep` (patterns of parameters' names) are what the user asked for. `penalty` compares what
    `space` tells, weights or embeddings; a `statistical` model has few weights, each of which means something. `spared`
    are parameters that the budget keeps the same for every dataset.
    """

    head: str
    rank: int
    encoder: tuple[FeatureEncoder, ...]
    parameters: int
    bytes: int
    budget: str | int | None = None
    chunk: int | None = None
    asked: str | None = None
    keep: tuple[str, ...] = ()
    together: bool = False
    penalty: str = "unbiased"
    space: str = "embedding"
    statistical: bool = False
    apart: bool = False
    spared: tuple[str, ...] = ()

    @property
    def learned_encoder(self) -> bool:
        """Whether the hypernetwork learns how what is pooled becomes the embedding."""
        return self.head in LEARNED_ENCODERS and not self.reads_moments

    @property
    def reads_moments(self) -> bool:
        """Whether an embedding consists of the moments of a dataset, in place of random features."""
        return any(part.kind == "moments" for part in self.encoder)


def plan(
    program: Program,
    layout: ParameterLayout,
    budget: str | int | None = None,
    head: str | None = None,
    keep: Sequence[str] = (),
    penalty: str | None = None,
    space: str | None = None,
) -> Plan:
    """Chooses the hypernetwork for a model.

    `budget` bounds the memory that head and base take in training, 16 bytes per parameter: in bytes (an integer, or
    text such as "64MB" or "1GiB"), or as "2x", a multiple of the 16 bytes per emitted weight that training the plain
    model takes. Within it the rank of a low-rank head with a base is `budget / (16 * weights) - 1`, at most 32; under
    rank 4 the head is chunked with a base, where not even that fits, without one. The few thousand parameters of the
    set encoder come on top. Without a budget the rank is 16, less where that would take more than 4 GiB. `head` leaves
    only the size to be chosen. `keep` is what made `layout`, for the record.
    `penalty` is one of `PENALTIES` and `space` one of `SPACES`.

    Raises HG105 for a budget that is not a size, HG303 for one that is too small, HG304 for a head that the model
    cannot have, HG306 for such a penalty, and HG104 for a tensor that the loss takes without one row per item.
    """
    chosen = candidate(program, layout, budget, head)
    parts = tuple(feature_encoder(value) for value in batch_inputs(program))
    statistical = is_statistical(layout)
    if statistical and chosen.head in READ_MOMENTS and (moments := by_moments(parts)):
        parts, chosen = moments, of_rank(chosen, MOMENTS * sum(part.rows for part in moments), layout)
        parameters = chosen.parameters
    else:
        parameters = chosen.all_parameters
    return Plan(
        chosen.head,
        chosen.rank,
        parts,
        parameters,
        BYTES * parameters,
        budget,
        chosen.chunk,
        head,
        tuple(keep),
        False,
        *penalty_and_space(layout, chosen.head, penalty, space),
        statistical,
    )


def candidate(program: Program, layout: ParameterLayout, budget: str | int | None, head: str | None) -> Candidate:
    """The head and its size."""
    options = list(weighed(layout) if head is None else of_head(known(head), layout))
    if not options:
        raise HyperGenError(
            "HG304",
            f"{program.model} has no tensor that the head {head!r} could condition",
            remedy="Choose another head, or keep fewer of the weights.",
        )
    unit = BYTES * layout.trained
    if budget is not None:
        return choose(options, in_bytes(budget, unit))
    options = [option for option in options if option.rank <= USUAL_RANK] or options
    return next((option for option in options if option.bytes <= max(USUAL_MEMORY, 2 * unit)), options[-1])


def known(head: str) -> str:
    if head not in HEADS:
        raise HyperGenError("HG304", f"there is no head {head!r}", remedy=f"Choose one of {', '.join(HEADS)}.")
    return head


def choose(options: Sequence[Candidate], limit: int) -> Candidate:
    """The most capable one within `limit` bytes."""
    fitting = next((option for option in options if option.bytes <= limit), None)
    if fitting is not None:
        return fitting
    smallest = min(options, key=lambda option: option.bytes)
    raise HyperGenError(
        "HG303",
        f"{limit:,} bytes are too few for any hypernetwork of this model",
        remedy=f"Give a budget of {smallest.bytes:,} bytes or more.",
    )
