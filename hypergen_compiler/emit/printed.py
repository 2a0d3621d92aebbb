"""A function as it was printed, its parameters, and the sizes that it reads first of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypergen_compiler.emit.expressions import Expressions
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.fold import Function

__all__ = ["PrintedFunction", "parameters", "size_lines"]


@dataclass(frozen=True)
class PrintedFunction:
    """`body` are the lines below the signature, unindented; `parameters` the names in order.

    `lines` has for each of the body the user's lines, as `file:line`, that it came from.
    """

    function: Function
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def parameters(function: Function, names: Locals, size_name: str) -> tuple[str, ...]:
    """The parameters of a printed function, in order."""
    found = [*function.spaces, *names.arguments, *function.number_names]
    if function.takes_batch:
        found.append("n")
    if function.takes_size:
        found.append(size_name)
    if function.uses_training or function.entry is not None:
        found.append("training")
    if function.takes_device:
        found.append("device")
    return tuple(found)


def size_lines(function: Function, expressions: Expressions) -> Iterator[tuple[str, int, str]]:
    """Sizes that are read once, at the top, because their argument's name is given to another value later."""
    if function.batch_from is not None:
        place, dimension = function.batch_from
        yield expressions.given.own_name(place), dimension, "n"
    if function.size_from is not None:
        place, dimension = function.size_from
        yield expressions.given.own_name(place), dimension, expressions.size_name
    for (place, dimension), name in expressions.given.sizes.items():
        yield expressions.given.own_name(place), dimension, name
