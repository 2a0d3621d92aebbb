"""What a command line or a project asks to be compiled, and the result as a person sees it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hypergen_compiler.commands.terminal import answer, tell

if TYPE_CHECKING:
    from hypergen_compiler.request.origin import Origin
    from hypergen_compiler.request.project import Target

__all__ = ["compile_and_show", "listed_target", "named_target", "project_targets"]


def named_target(name: str | None, out: Path | None, origin: Origin) -> tuple[Target, ...]:
    """The one package that a command line names. Ends the program where it leaves out what has no default."""
    from hypergen_compiler.request.project import Target

    if out is None or not origin.example:
        raise typer.BadParameter(f"Missing option '{'--out' if out is None else '--example'}'.")
    return (Target(name, out, origin),)


def project_targets(context: typer.Context) -> tuple[Target, ...]:
    """The packages of the project that the current folder lies in; its folder becomes the current one."""
    from hypergen_compiler.request.project import find_project, read_project, targets_in

    given = [name for name in context.params if name not in ("force", "as_json") and is_given(context, name)]
    if given:
        raise typer.BadParameter(f"'{given[0]}' needs SOURCE; without it, options are those of pyproject.toml's tables")
    project = find_project(Path.cwd())
    os.chdir(project.parent)
    return targets_in(read_project(project))


def listed_target(folder: Path, source: str | None) -> Target | None:
    """A folder's table in the current folder's pyproject.toml, if it has one and no `source` was named instead."""
    from hypergen_compiler.request.project import PROJECT, read_project, tables_in, targets_in

    project = Path(PROJECT)
    if source is not None or not project.is_file() or not tables_in(read_project(project)):
        return None
    listed = targets_in(read_project(project))
    return next((target for target in listed if target.out.resolve() == folder.resolve()), None)


def is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def compile_and_show(targets: Sequence[Target], *, force: bool, as_json: bool, several: bool) -> None:
    """Compiles and publishes; as JSON one package's manifest, or those of `several` in a list."""
    from rich.console import Group

    from hypergen_compiler.commands.compiling import compile_targets
    from hypergen_compiler.commands.show import show_published

    packages = compile_targets(targets, force=force, progress=tell)
    done = list(zip((target.out for target in targets), (package.manifest for package in packages), strict=True))
    found = [{"path": str(out), **manifest} for out, manifest in done]
    shown = Group(*(show_published(manifest, out) for out, manifest in done))
    answer({"packages": found} if several else found[0], as_json, shown)
