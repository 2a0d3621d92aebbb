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

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="package.module:Name or path/to/file.py:Name")]
OptionalSource = Annotated[
    str | None,
    typer.Argument(metavar="[SOURCE]", help="package.module:Name or path/to/file.py:Name; by default the project's"),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a compiled package")]
ExampleOption = Annotated[
    str,
    typer.Option(
        "--example", help="1x28x28, tokens:LENGTH:VOCABULARY, a .npz, .pt or .safetensors file, or module:function"
    ),
]
LossOption = Annotated[
    str, typer.Option("--loss", metavar="NAME", help="method that gives the loss, module:function, or none")
]
SampleOption = Annotated[
    str, typer.Option("--sample", metavar="NAME", help="method that draws n samples, module:function, or none")
]
EntryOption = Annotated[
    list[str], typer.Option("--entry", metavar="NAME", help="a further method or module:function; repeatable")
]
SetOption = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="a constructor argument; repeatable")]
FrozenOption = Annotated[
    bool, typer.Option("--allow-frozen", help="keep decisions that the model takes from its weights")
]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="memory for training, such as 64MB or 2x")]
RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="how loss and sampler are made around a network: ddpm, vae, nll ..."),
]
RecipeSetOption = Annotated[
    list[str], typer.Option("--recipe-set", metavar="KEY=VALUE", help="a setting of the recipe; repeatable")
]
HeadOption = Annotated[
    str | None,
    typer.Option("--head", metavar="NAME", help="biases, gains, low-rank ...; by default what fits"),
]
KeepOption = Annotated[
    list[str], typer.Option("--keep", metavar="PATTERN", help="weights to learn alike for all datasets; repeatable")
]
PenaltyOption = Annotated[
    str | None,
    typer.Option("--penalty", metavar="NAME", help="unbiased (default), literal, mean, lagrangian, chains or none"),
]
SpaceOption = Annotated[
    str | None, typer.Option("--penalty-space", metavar="NAME", help="what it compares: weights or embedding")
]
NameOption = Annotated[str | None, typer.Option("--name", help="the package's name; by default the folder's")]
JsonOption = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


@app.command("compile")
def compile_command(
    context: typer.Context,
    source: OptionalSource = None,
    example: ExampleOption = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder to publish the package to")] = None,
    loss: LossOption = "loss",
    sample: SampleOption = "sample",
    entry: EntryOption = [],  # noqa: B006, typer copies it
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
        from hypergen_compiler.request.origin import Origin
        from hypergen_compiler.request.source import parse_settings

        if source is None:
            targets = project_targets(context)
        else:
            given, recipe_given = parse_settings(settings), parse_settings(recipe_settings)
            words = (source, given, example, loss, sample, entry, budget, allow_frozen)
            origin = Origin(*words, recipe, recipe_given, head, keep, single_file, penalty, penalty_space)
            targets = named_target(name, out, origin)
        compile_and_show(targets, force=force, as_json=as_json, several=source is None)


@app.command("plan")
def plan_command(
    source: SourceArgument,
    example: ExampleOption,
    loss: LossOption = "loss",
    sample: SampleOption = "sample",
    entry: EntryOption = [],  # noqa: B006
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
        from rich.console import Group

        from hypergen_compiler.commands.show import show_alternatives, show_design
        from hypergen_compiler.design import alternatives, design
        from hypergen_compiler.pipeline import package_name
        from hypergen_compiler.plan.alternatives import reason
        from hypergen_compiler.publishing.manifest import describe_package
        from hypergen_compiler.request.origin import Origin
        from hypergen_compiler.request.source import parse_settings
        from hypergen_compiler.request.words import request

        given, recipe_given = parse_settings(settings), parse_settings(recipe_settings)
        words = (source, given, example, loss, sample, entry, budget, allow_frozen)
        origin = Origin(*words, recipe, recipe_given, head, keep, penalty, penalty_space)
        asked = request(origin, tell)
        found = design(asked, package_name(name, "package"), tell)
        description = describe_package(found, asked.origin, None, {})
        parts = {key: description[key] for key in ("model", "entries", "loss", "sample", "recipe", "layout", "plan")}
        weighed, why = [asdict(row) for row in alternatives(found, tell)], reason(found.plan)
        table = Group(show_design(description), show_alternatives(weighed, why))
        answer({**parts, "alternatives": weighed, "reason": why}, as_json, table)


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
