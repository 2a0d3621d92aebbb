"""The flat buffer as a map: one rectangle for a tensor, rows as a page's lines."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from hypergen_compiler.inspection.modules import emission

__all__ = ["buffer_map"]

WIDTH, ROW, ROWS = 960, 22, 16
CLASSES = {
    "for each dataset": "conditioned",
    "the same for all": "alike",
    "trained beside": "critic",
    "kept as it is": "kept",
}


def buffer_map(layout: Mapping[str, Any]) -> str:
    """An inline SVG; every rectangle says which tensor it is when pointed at."""
    size = max(1, layout["size"])
    per_row = math.ceil(size / ROWS)
    drawn = [rectangle for slot in layout["slots"] for rectangle in rectangles(slot, layout, per_row)]
    height = ROW * math.ceil(size / per_row)
    legend = " ".join(
        f'<span class="key {CLASSES[kind]}">{kind}</span>'
        for kind in CLASSES
        if any(emission(slot, layout) == kind for slot in layout["slots"])
    )
    return (
        f'<p>{legend} {per_row:,} elements a row</p><svg class="buffer" role="img" aria-label="map of the buffer" '
        f'height="{height}" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none">{"".join(drawn)}</svg>'
    )


def rectangles(slot: Mapping[str, Any], layout: Mapping[str, Any], per_row: int) -> list[str]:
    """A tensor's parts, one for each row of the map that it reaches into."""
    start, end = slot["offset"], slot["offset"] + math.prod(slot["shape"])
    label = html.escape(f"{slot['name']} {slot['shape']} at {start:,}: {emission(slot, layout)}")
    found = []
    while start < end:
        line = start // per_row
        stop = min(end, (line + 1) * per_row)
        x, width = (start - line * per_row) * WIDTH / per_row, (stop - start) * WIDTH / per_row
        found.append(
            f'<rect class="{CLASSES[emission(slot, layout)]}" x="{x:.2f}" y="{line * ROW}" width="{width:.2f}" '
            f'height="{ROW - 3}"><title>{label}</title></rect>'
        )
        start = stop
    return found
