"""What a training step consists of: the items that it takes, divided into small datasets."""

from __future__ import annotations

__all__ = ["ITEMS", "datasets"]

ITEMS = 256  # of a step, all datasets together
SHARING, APART = 8, 4


def datasets(together: bool) -> int:
    """How many datasets a step has: more where all share a pass of the model, since one more then costs little."""
    return SHARING if together else APART
