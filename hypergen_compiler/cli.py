"""The command `hypergen`: messages on stderr, results on stdout.

Exit status 0: done; 1: a check failed or a difference was found; 2: wrong input.
"""

from __future__ import annotations

import gc
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hypergen_compiler.audit.command import audit_command
from hypergen_compiler.commands import owning
from hypergen_compiler.commands.doctor import doctor_command
from hypergen_compiler.commands.experiment import experiments
from hypergen_compiler.commands.options import (
    BudgetOption,
    EntryOption,
    ExampleOption,
    FolderArgument,
    FrozenOption,
    HeadOption,
    JsonOption,
    KeepOption,
    LossOption,
    NameOption,
    OptionalSource,
    PenaltyOption,
    RecipeOption,
    RecipeSetOption,
    SampleOption,
    SetOption,
    SourceArgument,
    SpaceOption,
    origin_of,
)
from hypergen_compiler.commands.project import compile_and_show, named_target, project_targets
from hypergen_compiler.commands.terminal import CHECK_FAILED, answer, reported, tell
from hypergen_compiler.version import VERSION

__all__ = ["app", "main"]

app = typer.Typer(
    name="hypergen",
    help="Compiles a PyTorch generative model into a package that trains a hypernetwork for it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Importing torch and a model's library makes half a million objects that stay. By default Python searches them for
# garbage after every 700.
OBJECTS_PER_COLLECTION = 100_000


@app.command("compile")
def compile_command(
    context: typer.Context,
    source: OptionalSource = None,
    example: ExampleOption = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder to publish the package to")] = None,
    loss: LossOption = "loss",
    sample: SampleOption = "sample",
    entries: EntryOption = [],  # noqa: B006, typer copies it
    settings: SetOption = [],  # noqa: B006
    budget: BudgetOption = None,
    allow_frozen: FrozenOption = False,
    recipe: RecipeOption = None,
    recipe_settings: RecipeSetOption = [],  # noqa: B006
    head: HeadOption = None,
    keep: KeepOption = [],  # noqa: B006
    single_file: Annotated[bool, typer.Option("--single-file", help="one module in place of a package")] = False,
    penalty: PenaltyOption = None,
    penalty_space: SpaceOption = None,
    name: NameOption = None,
    force: Annotated[bool, typer.Option("--force", help="replace the folder, whatever it holds")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compile a model into a training package; without SOURCE, every package that pyproject.toml lists."""
    with reported():
        targets = project_targets(context) if source is None else named_target(name, out, origin_of(context))
        compile_and_show(targets, force=force, as_json=as_json, several=source is None)


@app.command("plan")
def plan_command(
    context: typer.Context,
    source: SourceArgument,
    example: ExampleOption,
    loss: LossOption = "loss",
    sample: SampleOption = "sample",
    entries: EntryOption = [],  # noqa: B006
    settings: SetOption = [],  # noqa: B006
    budget: BudgetOption = None,
    allow_frozen: FrozenOption = False,
    recipe: RecipeOption = None,
    recipe_settings: RecipeSetOption = [],  # noqa: B006
    head: HeadOption = None,
    keep: KeepOption = [],  # noqa: B006
    penalty: PenaltyOption = None,
    penalty_space: SpaceOption = None,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would be emitted, without writing it, and what it was chosen from: parameters, memory, time."""
    with reported():
        from hypergen_compiler.commands.planning import planned

        description, shown = planned(origin_of(context), name)
        answer(description, as_json, shown)


@app.command("inspect")
def inspect_command(
    folder: FolderArgument,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="write a page with graphs and sources as well")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a package's entry points, modules, layout, plan, data flow and files."""
    with reported():
        from hypergen_compiler.inspection.command import inspected, write_page
        from hypergen_compiler.publishing.manifest import read_manifest

        found = read_manifest(folder)
        description, shown = inspected(found, folder)
        if page is not None:
            write_page(found, folder, page)
            tell(f"wrote {page}")
        answer(description, as_json, shown)


@app.command("verify")
def verify_command(
    folder: FolderArgument,
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="the model, if it moved")] = None,
    critic: Annotated[str | None, typer.Option("--critic", metavar="SOURCE", help="the critic, if it moved")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a package with the model it was compiled from, wherever it can be rebuilt."""
    with reported():
        from hypergen_compiler.api import verify_folder
        from hypergen_compiler.commands.show import show_verification

        found = verify_folder(folder, source=source, critic=critic, progress=tell)
        answer({"ok": found.ok, "exact": found.exact, **asdict(found)}, as_json, show_verification(found))
    if not found.ok:
        raise typer.Exit(CHECK_FAILED)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="folder for everything the demo makes")] = Path(
        "demo"
    ),
    data: Annotated[Path | None, typer.Option("--data", metavar="FILE.npz", help="images to train on")] = None,
) -> None:
    """Compile a bundled VAE, train its hypernetwork on digits, sample, export."""
    with reported():
        from hypergen_compiler.demo.demo import run

        run(out, data)


app.command("audit")(audit_command)
app.command("doctor")(doctor_command)

for command, function in owning.COMMANDS.items():
    app.command(command)(function)


app.add_typer(experiments, name="experiment")


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(f"hypergen {VERSION}")
        raise typer.Exit


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    try:
        app()
    finally:
        gc.freeze()  # the process ends: nothing is searched for garbage once more


def stop(number: int, frame: Any) -> None:
    """A termination request ends like any other exit: temporary folders are removed."""
    raise SystemExit(128 + number)
