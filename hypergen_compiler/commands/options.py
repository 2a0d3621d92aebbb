"""The arguments of commands that take a model: what `hypergen compile` and `hypergen plan` share."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hypergen_compiler.request.origin import Origin

__all__ = [
    "BudgetOption",
    "EntryOption",
    "ExampleOption",
    "FolderArgument",
    "FrozenOption",
    "HeadOption",
    "JsonOption",
    "KeepOption",
    "LossOption",
    "NameOption",
    "OptionalSource",
    "PenaltyOption",
    "RecipeOption",
    "RecipeSetOption",
    "SampleOption",
    "SetOption",
    "SourceArgument",
    "SpaceOption",
    "origin_of",
]

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


def origin_of(context: typer.Context) -> Origin:
    """What a command's options say of a package, each of which has the name that `Origin` gives it."""
    from hypergen_compiler.request.origin import Origin
    from hypergen_compiler.request.source import parse_settings

    named = {field.name for field in fields(Origin)}
    given = {name: value for name, value in context.params.items() if name in named}
    return Origin(**given | {name: parse_settings(given[name]) for name in ("settings", "recipe_settings")})
