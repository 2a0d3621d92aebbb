"""Figures as PNG, drawn by matplotlib, which is an extra."""

from __future__ import annotations

from typing import Any

from hypergen_compiler.errors import HyperGenError

__all__ = ["figure", "require_plots"]


def require_plots() -> None:
    """Raises HG506 where there is no matplotlib: before anything is measured, not after."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise HyperGenError(
            "HG506",
            "plots are drawn with matplotlib, which is not installed",
            remedy="Install what the experiments need: pip install 'hypergen-compiler[demo]'",
        ) from None


def figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # apart from pyplot, so that no display is looked for

    return Figure(figsize=(width, height), layout="constrained", dpi=120)
