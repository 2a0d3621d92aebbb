"""The command `hypergen audit`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hypergen_compiler.commands.terminal import answer, reported, tell

__all__ = ["audit_command"]


def audit_command(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="a run's folder, samples in a .npz, .npy or .pt file, or a model's source"),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="the data to compare with, a .npz, .npy or .pt file")],
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="NAME", help="array of the groups; by default labels or y")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="the page to write")] = Path("audit.html"),
    package: Annotated[
        Path | None,
        typer.Option("--package", metavar="DIR", help="package of the run; by default one nearby that fits"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="state_dict of the model, .pt or .safetensors")
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="an argument of the model's constructor; repeatable")
    ] = [],  # noqa: B006, typer copies it
    loss: Annotated[
        str, typer.Option("--loss", metavar="NAME", help="the model's method that gives the loss")
    ] = "loss",
    sample: Annotated[
        str, typer.Option("--sample", metavar="NAME", help="the model's method that draws n samples")
    ] = "sample",
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Tell what a trained model makes of the groups in its data and of its own samples; trains nothing of it."""
    with reported():
        from hypergen_compiler.audit.measure import audited
        from hypergen_compiler.audit.opening import Choices, opened
        from hypergen_compiler.audit.page import write_page
        from hypergen_compiler.audit.show import show_audit
        from hypergen_compiler.request.source import parse_settings

        choices = Choices(package, weights, parse_settings(settings), loss, sample)
        subject, items = opened(run, data, labels, choices)
        audit = audited(subject, items, tell)
        write_page(out, audit, items.inputs[0], subject.sample)
        tell(f"wrote {out}")
        answer(asdict(audit), as_json, show_audit(audit))
