"""`hypergen experiment`: what the documentation claims, measured again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from hypergen_compiler.terminal import answer, reported, tell

__all__ = ["experiments"]

experiments = typer.Typer(help="Measure what the documentation claims.", no_args_is_help=True)


@experiments.callback()
def root() -> None:
    """Measure what the documentation claims."""


@experiments.command("bias")
def bias_command(
    quick: Annotated[bool, typer.Option("--quick", help="few steps and seeds: only tells whether it runs")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder for the tables and the plot")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
) -> None:
    """Train amortized estimators under every penalty, and tell by how much each is off; minutes on a CPU."""
    with reported():
        from hypergen_compiler.evidence.bias import CELLS, measure
        from hypergen_compiler.evidence.bias_page import as_values, table, write
        from hypergen_compiler.evidence.plots import require_plots

        if out is not None:
            require_plots()
        rows = measure(CELLS, tell, quick=quick)
        if out is not None:
            write(out, rows)
        answer(as_values(rows), as_json, table(rows))


@experiments.command("autophagy")
def autophagy_command(
    quick: Annotated[bool, typer.Option("--quick", help="few generations, steps and seeds")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE.npz", help="pictures and labels; by default digits")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder for the tables and the plot")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Let models learn from their own samples, generation by generation, and tell what becomes of them."""
    with reported():
        from hypergen_compiler.evidence.autophagy.page import table, write
        from hypergen_compiler.evidence.autophagy.run import labelled_pictures, measure
        from hypergen_compiler.evidence.plots import require_plots

        if out is not None:
            require_plots()
        parts = None if out is None else out / "autophagy.parts"
        found = measure(*labelled_pictures(data), tell, quick=quick, keep=parts)
        if out is not None:
            write(out, found)
            shutil.rmtree(out / "autophagy.parts")
            tell(f"wrote {out / 'autophagy.md'}")
        answer(found, as_json, table(found))
