"""The commands for owning and updating packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hypergen_compiler.commands.options import FolderArgument
from hypergen_compiler.commands.project import listed_target, project_targets
from hypergen_compiler.commands.terminal import CHECK_FAILED, report, reported, tell

__all__ = ["COMMANDS"]

FolderOrProject = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="folder of a compiled package; by default all of the project's"),
]
MovedArgument = Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="the model, if it moved")]


def diff_command(folder: FolderArgument, source: MovedArgument = None) -> None:
    """Show what was edited in a package, and what HyperGen would now write differently."""
    with reported():
        from hypergen_compiler.commands.show_drift import show_drift
        from hypergen_compiler.owning.recompile import drift_of

        found = drift_of(folder, tell, source=source, target=listed_target(folder, source))
        report(show_drift(found))
    if found:
        raise typer.Exit(CHECK_FAILED)


def check_command(context: typer.Context, folder: FolderOrProject = None, source: MovedArgument = None) -> None:
    """Name every file that was edited or that HyperGen would now write differently; exit status 1 if there is one."""
    with reported():
        lines = project_lines(context) if folder is None else folder_lines(folder, source)
    for line in lines:
        print(line)
    if lines:
        raise typer.Exit(CHECK_FAILED)


def folder_lines(folder: Path, source: str | None) -> list[str]:
    from hypergen_compiler.commands.show_drift import drift_lines
    from hypergen_compiler.owning.recompile import drift_of

    return drift_lines(folder, drift_of(folder, tell, source=source, target=listed_target(folder, source)))


def project_lines(context: typer.Context) -> list[str]:
    """The drift of every package that pyproject.toml lists, from what its table says."""
    from hypergen_compiler.commands.show_drift import drift_lines
    from hypergen_compiler.owning.recompile import drift_of

    lines = []
    for target in project_targets(context):
        if target.out.exists():
            tell(f"checking {target.out}")
            lines += drift_lines(target.out, drift_of(target.out, tell, target=target))
        else:
            lines.append(f"{target.out}: not compiled")
    return lines


def vendor_command(
    folder: FolderArgument,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="folder in another project, named as the copy")],
) -> None:
    """Copy a package into another project, once it passes its own tests there with torch alone."""
    with reported():
        from hypergen_compiler.commands.show import show_vendored
        from hypergen_compiler.owning.vendor import vendor

        report(show_vendored(vendor(folder, destination, tell)))


def update_command(
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="folder of a compiled or vendored package")],
    source: MovedArgument = None,
) -> None:
    """Compile a package again and merge the result with what was edited; exit status 1 if there are conflicts."""
    with reported():
        from hypergen_compiler.commands.show_update import show_update
        from hypergen_compiler.owning.update import update

        found = update(folder, tell, source=source, target=listed_target(folder, source))
        report(show_update(found, folder))
    if found.conflicts:
        raise typer.Exit(CHECK_FAILED)


COMMANDS = {"diff": diff_command, "check": check_command, "vendor": vendor_command, "update": update_command}
