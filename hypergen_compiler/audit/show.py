"""An audit for a terminal."""

from __future__ import annotations

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hypergen_compiler.audit.report import ABSORBED, Audit, findings
from hypergen_compiler.commands.show import section

__all__ = ["show_audit"]


def show_audit(audit: Audit) -> RenderableType:
    parts = [Text(f"{audit.name}: {audit.sampled:,} samples against {audit.items:,} items\n", style="bold")]
    if audit.groups:
        parts.append(section("groups", groups(audit)))
    parts.append(section("quality", quality(audit)))
    return Lines(*parts, *(Text(f"- {found}") for found in findings(audit)))


def groups(audit: Audit) -> Table:
    found = table("group", "in the data", "read in real", "generated", "kept", "coverage", "of real", "loss")
    for row in audit.groups:
        style = "red" if row.kept < ABSORBED else ""
        numbers = (f"{row.given:.1%}", f"{row.read:.1%}", f"{row.generated:.1%}", f"{row.kept:.0%}")
        loss = "" if row.loss is None else f"{row.loss:.4g}"
        cells = (row.name, *numbers, f"{row.coverage:.0%}", f"{row.coverage_of_real:.0%}", loss)
        found.add_row(*(Text(cell, style=style) for cell in cells))
    return found


def quality(audit: Audit) -> Table:
    found = table("", "Fréchet distance", "precision", "recall", "diversity")
    for name, own in (("generated", audit.quality), ("other real items", audit.quality_of_real)):
        numbers = (f"{own.frechet:.4g}", f"{own.precision:.0%}", f"{own.recall:.0%}", f"{own.diversity:.4g}")
        found.add_row(*map(Text, (name, *numbers)))
    return found


def table(*names: str) -> Table:
    found = Table(box=None, header_style="dim")
    for i, name in enumerate(names):
        found.add_column(Text(name), justify="right" if i else "left")
    return found
