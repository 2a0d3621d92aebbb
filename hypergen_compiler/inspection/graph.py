"""The data flow through an emitted function, drawn: a box for every statement, an edge from who gives to who reads."""

from __future__ import annotations

import html
from dataclasses import dataclass

from hypergen_compiler.inspection.functions import Function

__all__ = ["graph", "layered"]

CHARACTER, HEIGHT, GAP, SPACE, LONGEST = 7.3, 26, 22, 34, 64


@dataclass(frozen=True)
class Box:
    """`before` are the numbers of the boxes whose values it reads; `call` the emitted function that it calls first."""

    text: str
    before: tuple[int, ...]
    layer: int
    call: str | None = None


def layered(function: Function) -> list[Box]:
    """Inputs in layer 0, every statement one below the lowest that it reads from."""
    boxes = [Box(name, (), 0) for name in function.inputs]
    givers = {name: [number] for number, name in enumerate(function.inputs)}
    for item in function.statements:
        before = sorted({number for name in item.reads for number in givers.get(name, ())})
        layer = 1 + max((boxes[number].layer for number in before), default=0)
        text = item.text if len(item.text) <= LONGEST else item.text[: LONGEST - 1] + "…"
        boxes.append(Box(text, tuple(before), layer, item.calls[0] if item.calls else None))
        for name in item.gives:  # in a loop or a branch the value from before may go on
            givers[name] = [len(boxes) - 1]
    return boxes


def graph(function: Function) -> str:
    """An inline SVG; boxes that call an emitted function link to its lines."""
    boxes = layered(function)
    rows: dict[int, list[int]] = {}
    for number, box in enumerate(boxes):
        rows.setdefault(box.layer, []).append(number)
    places: dict[int, tuple[float, float, float]] = {}
    for row, numbers in sorted(rows.items()):
        x = 10.0
        for number in numbers:
            width = len(boxes[number].text) * CHARACTER + 16
            places[number] = (x, 10 + row * (HEIGHT + SPACE), width)
            x += width + GAP
    right = max((x + width for x, _, width in places.values()), default=0) + 10
    bottom = max((y for _, y, _ in places.values()), default=0) + HEIGHT + 10
    edges = [edge(places[before], places[number]) for number, box in enumerate(boxes) for before in box.before]
    drawn = [rectangle(box, *places[number]) for number, box in enumerate(boxes)]
    label = html.escape(f"data flow of {function.name}")
    return (
        f'<svg class="graph" role="img" aria-label="{label}" width="{right:.0f}" height="{bottom:.0f}" '
        f'viewBox="0 0 {right:.0f} {bottom:.0f}">{"".join(edges)}{"".join(drawn)}</svg>'
    )


def edge(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x1, y1, x2, y2 = start[0] + start[2] / 2, start[1] + HEIGHT, end[0] + end[2] / 2, end[1]
    middle = (y1 + y2) / 2
    return f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"/>'


def rectangle(box: Box, x: float, y: float, width: float) -> str:
    kind = "input" if box.layer == 0 else "call" if box.call else "statement"
    shape = f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="4"/>'
    text = f'<text x="{x + 8:.0f}" y="{y + 17:.0f}">{html.escape(box.text)}</text>'
    return f'<a href="#model.py-{box.call}">{shape}{text}</a>' if box.call else shape + text
