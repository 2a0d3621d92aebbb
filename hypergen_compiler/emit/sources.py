"""What loops run over: ranges, tuples of weights or slices of them, numbers, values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypergen_compiler.emit.expressions import Expressions
from hypergen_compiler.emit.numbers import number_expression
from hypergen_compiler.emit.records import Records, reach
from hypergen_compiler.fold import Column, Loop

__all__ = ["loop_head"]


def loop_head(expressions: Expressions, loop: Loop) -> str:
    """`for block, block_state in zip(w.blocks, state.blocks, strict=True):`"""
    variables = [column.variable for column in loop.columns]
    sources = [column_source(expressions, loop, column) for column in loop.columns]
    if not sources:
        return f"for _ in range({loop.turns}):"
    if len(sources) == 1:
        return f"for {variables[0]} in {sources[0]}:"
    return f"for {', '.join(variables)} in zip({', '.join(sources)}, strict=True):"


def column_source(expressions: Expressions, loop: Loop, column: Column) -> str:
    """The expression that a loop variable runs over."""
    if column.kind == "index":
        return counted(loop)
    if column.kind == "number":
        return displayed([number_expression(leaf.value, expressions.size_name).text for leaf in column.values])
    if column.kind == "value":
        return displayed([expressions.tensor(expressions.flow.alias(leaf)).text for leaf in column.values])
    if isinstance(column.values[0], int):
        return slice_of_tuple(expressions, column)
    return displayed([reach(column.kind, (*column.prefix, value)) for value in column.values])


def counted(loop: Loop) -> str:
    """`range(50)`, `reversed(range(50))`, `range(50, 0, -1)`."""
    down = loop.descent
    if down is None:
        return f"range({loop.turns})"
    if down == range(loop.turns)[::-1]:
        return f"reversed(range({loop.turns}))"
    return f"range({down.start}, {down.stop}, {down.step})"


def slice_of_tuple(expressions: Expressions, column: Column) -> str:
    """`w.blocks` where the loop runs over all of it, a slice where over a part, else the elements one by one."""
    base = expressions.records[column.kind].nodes[expressions.region.bases[column.kind]][0]
    whole = reach(column.kind, column.prefix)
    length = tuple_length(expressions.records[column.kind], (*base, *column.prefix))
    values = column.values
    step = values[1] - values[0]
    if any(later - earlier != step for earlier, later in pairwise(values)):
        return displayed([reach(column.kind, (*column.prefix, value)) for value in values])
    if step == 1:
        start = values[0] or ""
        stop = values[-1] + 1 if values[-1] + 1 < length else ""
        return whole if start == stop == "" else f"{whole}[{start}:{stop}]"
    if step == -1:
        start = values[0] if values[0] + 1 < length else ""
        stop = values[-1] - 1 if values[-1] else ""
        return f"{whole}[{start}:{stop}:-1]"
    if step > 1:
        stop = values[-1] + 1 if values[-1] + step < length else ""
        return f"{whole}[{values[0] or ''}:{stop}:{step}]"
    return displayed([reach(column.kind, (*column.prefix, value)) for value in values])


def displayed(texts: list[str]) -> str:
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def tuple_length(tree: Records, steps: tuple[Any, ...]) -> int:
    return 1 + max(path[len(steps)] for path in tree.steps.values() if path[: len(steps)] == steps)
