"""A plan in words, from what the manifest holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["plan_rows"]


def plan_rows(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of (what, value) for a person to read, of a `Plan` as a dictionary."""
    kept = [*plan["keep"], *plan["spared"]]
    return [
        ("head", head(plan)),
        ("datasets of a step", datasets(plan)),
        ("reads", "; ".join(map(part, plan["encoder"])) or "nothing: no tensor goes in"),
        ("penalty", plan["penalty"] if plan["penalty"] == "none" else f"{plan['penalty']}, of {plan['space']}"),
        ("parameters", f"{plan['parameters']:,}"),
        ("memory in training", f"{plan['bytes'] / 1e6:,.1f} MB for values, gradients and moments"),
        ("budget", "none given" if plan["budget"] is None else str(plan["budget"])),
        *([("the same for all datasets", ", ".join(kept))] if kept else []),
    ]


def head(plan: Mapping[str, Any]) -> str:
    if plan["head"] == "base":
        return "none, a learned base"
    base = "without a base" if plan["head"] == "chunked-alone" else "with a learned base"
    size = f"chunks of {plan['chunk']:,}" if plan["chunk"] else f"rank {plan['rank']}"
    return f"{plan['head']} {base}, {size}"


def datasets(plan: Mapping[str, Any]) -> str:
    if plan["together"]:
        return "in one pass of the model"
    return "in a pass each: in one they did not agree" if plan["apart"] else "in a pass each"


def part(encoder: Mapping[str, Any]) -> str:
    return f"{encoder['name']}: {encoder['kind']} {' x '.join(map(str, encoder['shape'])) or 'per item'}"
