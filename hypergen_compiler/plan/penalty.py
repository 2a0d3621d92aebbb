"""Which autophagy penalty a package trains with, and what it compares: emitted weights or embeddings."""

from __future__ import annotations

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import ParameterLayout

__all__ = ["PENALTIES", "SPACES", "SYNTHETIC", "is_statistical", "penalty_and_space"]

SYNTHETIC = {
    "unbiased": 2,
    "literal": 1,
    "mean": 4,
    "lagrangian": 2,
    "chains": 2,
}  # synthetic datasets for each real one
PENALTIES = (*SYNTHETIC, "none")
SPACES = ("weights", "embedding")
FEW = 100  # weights: a model with fewer, none of them in a matrix, is a statistical one


def is_statistical(layout: ParameterLayout) -> bool:
    """Whether every weight is a quantity by itself, such as a variance or a rate: there are few, and no matrix."""
    trained = [slot for slot in layout.slots if slot.trained]
    return sum(slot.size for slot in trained) < FEW and all(len(slot.shape) < 2 for slot in trained)


def penalty_and_space(
    layout: ParameterLayout, head: str, penalty: str | None = None, space: str | None = None
) -> tuple[str, str]:
    """The penalty, by default the unbiased one, and its space, by default weights for a statistical model and embedding
    for a network.

    Raises HG306 for a name that is not known, and for weights that do not depend on the dataset or are not made for it.
    """
    if penalty is not None and penalty not in PENALTIES:
        raise HyperGenError(
            "HG306", f"there is no penalty {penalty!r}", remedy=f"Choose one of {', '.join(PENALTIES)}."
        )
    if space is not None and space not in SPACES:
        raise HyperGenError("HG306", f"a penalty compares no {space!r}", remedy=f"Choose one of {', '.join(SPACES)}.")
    if space == "weights" and head in ("base", "gains"):
        why = {"base": "are the same for every dataset", "gains": "are never made for each dataset, only their gains"}
        raise HyperGenError(
            "HG306",
            f"with the head {head!r} the weights {why[head]}",
            remedy="Choose the space embedding, the penalty none, or another head.",
        )
    usual = "weights" if is_statistical(layout) and head != "base" else "embedding"
    return penalty or "unbiased", space or usual
