"""The statements of generated programs: each writes a line or a few from variables in reach, or does nothing."""

from __future__ import annotations

from collections.abc import Callable

from .calls import distribution, early, normed, optional
from .control import branch, container, helper, loop, without_gradient
from .expressions import attention, binary, classes, nested, numbers, random, reduce, scalar, unary
from .members import block, layer, parameter, tied
from .pictures import resampled, skipping
from .sequences import masked_attention, pointed, recurrent
from .shapes import join, part, reshape
from .writes import buffer, in_place, view_and_write
from .writing import Writer

__all__ = ["STATEMENTS", "write_statement"]

STATEMENTS: dict[Callable[[Writer], None], int] = {
    unary: 5, binary: 5, nested: 4, numbers: 3, random: 3, reduce: 1, reshape: 5, join: 2, part: 2, attention: 1,
    layer: 6, parameter: 4, tied: 2, in_place: 3, view_and_write: 2, buffer: 3, branch: 3, loop: 3, container: 2,
    without_gradient: 1, helper: 2, block: 4, scalar: 2, classes: 1, recurrent: 2,
    masked_attention: 2, pointed: 3, resampled: 3, skipping: 2, distribution: 2, optional: 2, early: 2, normed: 2,
}  # fmt: skip


def write_statement(w: Writer) -> None:
    (statement,) = w.chance.choices(list(STATEMENTS), weights=list(STATEMENTS.values()))
    statement(w)
