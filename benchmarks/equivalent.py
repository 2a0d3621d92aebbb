"""Mutants that are no mistakes: what they change cannot be told from outside. Each was looked at."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

EQUIVALENT: dict[tuple[str, str], str] = {}  # a module and what became of what, to the reason
