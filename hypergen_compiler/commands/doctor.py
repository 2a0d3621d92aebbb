"""The command `hypergen doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hypergen_compiler.commands.terminal import answer, reported, tell

__all__ = ["doctor_command"]


def doctor_command(
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="write what to attach to a bug report")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Show the versions that HyperGen runs with, or write a report of its last internal error."""
    with reported():
        from hypergen_compiler.commands.last_report import write_report
        from hypergen_compiler.commands.show import pairs
        from hypergen_compiler.versions import versions

        if report is not None:
            write_report(report)
            tell(f"wrote {report}; read it before you send it: it names your model's modules and functions")
        else:
            answer(dict(versions()), as_json, pairs(versions()))
