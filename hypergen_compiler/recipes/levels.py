"""Data on the scale that diffusion and flow models are made for, from -1 to 1."""

from __future__ import annotations

from torch import Tensor

from hypergen_compiler.recipes.recipe import Example, refuse_unless

__all__ = ["centred", "check_levels", "found_levels", "restored"]

KINDS = ("auto", "unit", "symmetric", "any")


def check_levels(levels: str) -> None:
    """Raises HG107 for levels of no known kind."""
    refuse_unless(
        levels in KINDS,
        f"levels={levels!r} is not understood",
        "It is unit for data in [0, 1], symmetric for [-1, 1], any for unbounded data, or auto to tell by the example.",
    )


def found_levels(levels: str, example: Example) -> str:
    """What `auto` stands for: images within [0, 1] or [-1, 1] are bounded, everything else is not."""
    if levels != "auto":
        return levels
    x = example(16)[0]
    if x.ndim != 4 or x.min() < -1 or x.max() > 1:
        return "any"
    return "unit" if x.min() >= 0 else "symmetric"


def centred(x: Tensor, levels: str) -> Tensor:
    """Data to [-1, 1]; unbounded data stay."""
    return 2 * x - 1 if levels == "unit" else x


def restored(x: Tensor, levels: str) -> Tensor:
    """The other way, clamped to the data's own bounds."""
    if levels == "any":
        return x
    return (x.clamp(-1, 1) + 1) / 2 if levels == "unit" else x.clamp(-1, 1)
