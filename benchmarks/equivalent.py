"""What was found of mutants that were looked at: those that are no mistakes, and those that tests are left to miss.

Each is named by its module and by what became of what, and has the reason.
"""

from __future__ import annotations

__all__ = ["EQUIVALENT", "LOOKED_AT"]

CHECKER, EMIT = "hypergen_compiler/checker", "hypergen_compiler/emit"

EQUIVALENT: dict[tuple[str, str], str] = {}
LOOKED_AT: dict[tuple[str, str], str] = {}
