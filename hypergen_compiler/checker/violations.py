"""What a check found, and the internal error that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypergen_compiler.checker.report import report_text
from hypergen_compiler.errors import InternalError
from hypergen_compiler.program import Program

__all__ = ["Violation", "require"]


@dataclass(frozen=True)
class Violation:
    """A broken promise of a stage; `where` is the line of the user's code that it concerns, if there is one."""

    what: str
    where: str | None = None


def require(stage: str, found: Sequence[Violation], program: Program) -> None:
    """Raises HG902, with a report to hand on, if a check of what this stage made found anything."""
    if not found:
        return
    others = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    raise InternalError(
        "HG902",
        f"{stage} broke its own rules: {found[0].what}{others}",
        where=found[0].where,
        remedy="This is a bug of HyperGen, and nothing was written. `hypergen doctor --report FILE` writes a file to "
        "attach to a report of it: versions, the stage and the recorded program, without weights or data.",
        report=report_text(stage, [violation.what for violation in found], program),
    )
