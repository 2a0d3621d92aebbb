"""What a person sees of an update: what became of each file, conflicts last."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hypergen_compiler.owning.update import Update

__all__ = ["show_update"]


def show_update(update: Update, folder: Path) -> RenderableType:
    """A line for each file, and what to do next."""
    if not update.outcomes:
        return Text("up to date")
    table = Table(box=None, show_header=False)
    for outcome in sorted(update.outcomes, key=lambda outcome: (outcome.conflict, outcome.path)):
        table.add_row(Text(outcome.path), Text(outcome.what, style="bold red" if outcome.conflict else "green"))
    if not update.conflicts:
        return Group(table, Text(f"next: pytest {folder}", style="dim"))
    count = len(update.conflicts)
    files = "1 file needs" if count == 1 else f"{count} files need"
    return Group(table, Text(f"{files} a decision; then: pytest {folder}", style="bold red"))
