"""From what a user calls a budget to bytes."""

from __future__ import annotations

import re

from hypergen_compiler.errors import HyperGenError

__all__ = ["in_bytes"]

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def in_bytes(budget: str | int, unit: int) -> int:
    """A budget in bytes; "2x" is twice `unit`. Raises HG105 for one that is not a size."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(budget).lower())
    if found is None or isinstance(budget, bool) or found[2] not in {*UNITS, "x"}:
        raise HyperGenError(
            "HG105",
            f"the budget {budget!r} is not a size",
            remedy="Give bytes such as 64MB, 1GiB or 250000, or a multiple of the plain model's such as 2x.",
        )
    return int(float(found[1]) * (unit if found[2] == "x" else UNITS[found[2]]))
