"""`hypergen experiment`: what the documentation claims, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hypergen_compiler.commands.terminal import answer, reported, tell

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
        from hypergen_compiler.evidence.bias.experiment import CELLS, measure
        from hypergen_compiler.evidence.bias.page import as_values, table, write
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
    """Let models learn from their own samples, generation by generation; tens of minutes, with --quick a few."""
    with reported():
        from hypergen_compiler.evidence.autophagy.page import table, write
        from hypergen_compiler.evidence.autophagy.run import measure
        from hypergen_compiler.evidence.plots import require_plots

        if out is not None:
            require_plots()
        found = measure(data, tell, quick=quick, out=out)
        if out is not None:
            write(out, found)
            tell(f"wrote {out / 'autophagy.md'}")
        answer(found, as_json, table(found))


@experiments.command("fairness")
def fairness_command(
    quick: Annotated[bool, typer.Option("--quick", help="few steps and seeds: only tells whether it runs")] = False,
    model: Annotated[str, typer.Option("--model", help="the family of models: vae, flow or diffusion")] = "vae",
    pair: Annotated[str, typer.Option("--pair", metavar="MAJORITY,MINORITY", help="two labels of the data")] = "9,4",
    share: Annotated[float, typer.Option("--share", help="of the minority among the training pictures")] = 0.05,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="an .npz of `images` and `labels`, for the digits")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="folder for the page, JSON and plots")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the results as JSON")] = False,
) -> None:
    """Train on a rare class, and ask for more of it; half an hour on a CPU that is free, with --quick minutes."""
    with reported():
        from hypergen_compiler.evidence.fairness.effort import BRIEF, FULL, OWN, QUICK
        from hypergen_compiler.evidence.fairness.experiment import measure
        from hypergen_compiler.evidence.fairness.families import FAMILIES
        from hypergen_compiler.evidence.fairness.page import as_values, table, write
        from hypergen_compiler.evidence.plots import require_plots

        if model not in FAMILIES:
            raise typer.BadParameter(f"{model!r} is none of {', '.join(FAMILIES)}", param_hint="--model")
        if out is not None:
            require_plots()
        usual = BRIEF if model != "vae" else FULL if data is None else OWN
        results = measure(model, data, labels_of(pair), share, QUICK if quick else usual, out, tell)
        if out is not None:
            write(out, results)
        answer(as_values(results), as_json, table(results))


def labels_of(pair: str) -> tuple[int, int]:
    """The two labels of a text such as "9,4"."""
    try:
        common, rare = map(int, pair.split(","))
    except ValueError:
        common = rare = 0
    if common == rare:
        raise typer.BadParameter(f"{pair!r} is no pair of labels, such as 9,4", param_hint="--pair")
    return common, rare
