"""Small plots as SVG, to stand in a page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

__all__ = ["bars", "lines", "scatter"]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 240, 44, 30, 12
COLOURS = ("#888", "#2f6fb1", "#c0392b", "#27865b", "#d49a3a", "#7d4fa0", "#2a9d9d", "#b5651d", "#555", "#c2185b")


def bars(title: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """For each group a bar of every series."""
    largest = top(series)
    slot = (WIDTH - LEFT) / len(groups)
    wide = 0.8 * slot / len(series)
    parts = []
    for i, (values, colour) in enumerate(zip(series.values(), COLOURS, strict=False)):
        for place, (value, group) in enumerate(zip(values, groups, strict=True)):
            x, y = LEFT + place * slot + 0.1 * slot + i * wide, vertical(value, largest)
            tip = f"<title>{html.escape(group)}: {value:.3g}</title>"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}">'
                f"{tip}</rect>"
            )
    for place, group in enumerate(groups):
        parts.append(text(LEFT + (place + 0.5) * slot, HEIGHT - BOTTOM + 14, group, "middle"))
    return drawing(title, [*axes(largest), *parts], tuple(series))


def lines(title: str, series: Mapping[str, Sequence[float]], label: str) -> str:
    """Values by generation."""
    largest = top(series)
    longest = max(len(values) for values in series.values())
    parts = []
    for values, colour in zip(series.values(), COLOURS, strict=False):
        points = " ".join(f"{across(i, longest - 1):.1f},{vertical(v, largest):.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    ticks = [text(across(i, longest - 1), HEIGHT - BOTTOM + 14, str(i), "middle") for i in range(longest)]
    return drawing(title, [*axes(largest), *ticks, *parts], tuple(series), label)


def scatter(title: str, points: Sequence[tuple[float, float]], label: str) -> str:
    """Pairs between 0 and 1, and the line where both are equal."""
    parts = [
        f'<circle cx="{across(x, 1.0):.1f}" cy="{vertical(y, 1.0):.1f}" r="2.5" fill="{COLOURS[1]}" opacity="0.55"/>'
        for x, y in points
    ]
    equal = f'<line x1="{across(0, 1):.1f}" y1="{vertical(0, 1):.1f}" x2="{across(1, 1):.1f}" y2="{vertical(1, 1):.1f}"'
    ticks = [text(across(x, 1.0), HEIGHT - BOTTOM + 14, f"{x:g}", "middle") for x in (0, 0.25, 0.5, 0.75, 1)]
    return drawing(title, [*axes(1.0), *ticks, f'{equal} stroke="#bbb"/>', *parts], (), label)


def top(series: Mapping[str, Sequence[float]]) -> float:
    """A round number, of which a quarter is one too, that no value exceeds."""
    largest = max(max(values) for values in series.values())
    if largest <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(largest))
    return next(step * unit for step in (1, 2, 4, 6, 8, 10) if step * unit >= largest)


def across(value: float, largest: float) -> float:
    return LEFT + (WIDTH - LEFT - 10) * value / max(largest, 1e-12)


def vertical(value: float, largest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / largest


def axes(largest: float) -> list[str]:
    heights = [(largest * i / 4, vertical(largest * i / 4, largest)) for i in range(5)]
    grid = [f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" stroke="#e4e4e4"/>' for _, y in heights]
    return grid + [text(LEFT - 5, y + 4, f"{value:.2g}", "end") for value, y in heights]


def text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(content)}</text>'


def drawing(title: str, parts: Sequence[str], names: Sequence[str], label: str = "") -> str:
    """With its title above, a key of the series below, and what lies across."""
    keys = "".join(
        f'<span class="key" style="background:{colour}">{html.escape(name)}</span> '
        for name, colour in zip(names, COLOURS, strict=False)
    )
    below = text(WIDTH / 2, HEIGHT - 2, label, "middle") if label else ""
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    picture = f'<svg {size} role="img" aria-label="{html.escape(title)}">{"".join(parts)}{below}</svg>'
    return f"<figure><h3>{html.escape(title)}</h3>{picture}<figcaption>{keys}</figcaption></figure>"
