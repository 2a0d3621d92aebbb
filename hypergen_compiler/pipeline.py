"""The pipeline from a model and its entry points to a published package."""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from hypergen_compiler.capture import EntryPoint, capture, entry_points
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.emit.files import emit
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.single_file import single_file
from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.formatting import formatted, formatter
from hypergen_compiler.layout import ParameterLayout, lay_out
from hypergen_compiler.manifest import describe_package
from hypergen_compiler.origin import Origin
from hypergen_compiler.package import Package
from hypergen_compiler.plan import Plan
from hypergen_compiler.plan import plan as make_plan
from hypergen_compiler.pristine import with_record
from hypergen_compiler.program import Program
from hypergen_compiler.publish import check_target, staged, swap_in
from hypergen_compiler.recipe_entries import RecipeEntries, chosen_recipe, sampler
from hypergen_compiler.recipes import Recipe
from hypergen_compiler.source import describe_model
from hypergen_compiler.verify import verify_package
from hypergen_compiler.verify_process import VerificationProcess

__all__ = ["Build", "Design", "Request", "build", "design", "ignore", "package_name", "publish"]

CRITIC_LOSS = "critic_loss"  # the entry point that trains a recipe's critic
TRIED = (1, 3)  # batch sizes before publishing; entry points are recorded at others
UNUSABLE_NAMES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "hypergen_compiler", "pytest"})


@dataclass(frozen=True)
class Request:
    """What to compile: the arguments of `compile`, and in `origin` and `description` how the model was named."""

    model: nn.Module
    example: Any
    loss: str | Callable[..., Any] | None = "loss"
    sample: str | Callable[..., Any] | None = "sample"
    entries: Iterable[str] | Mapping[str, Any] = ()
    budget: str | int | None = None
    recipe: str | Mapping[str, Any] | Recipe | None = None
    description: str | None = None
    origin: Origin = field(default_factory=Origin)
    allow_frozen: bool = False


@dataclass(frozen=True)
class Design:
    """Everything that is known before text is written; `recipe` is what gave the loss, if one did."""

    model: nn.Module
    points: tuple[EntryPoint, ...]
    program: Program
    layout: ParameterLayout
    plan: Plan
    recipe: RecipeEntries | None = None

    @property
    def tried(self) -> tuple[EntryPoint, ...]:
        """The entry points as verification tries them: those with a free size also at another than the example's."""
        sizes = {entry.name: entry.other_size for entry in self.program.entries if entry.other_size is not None}
        return self.points + tuple(at_size(p, sizes[p.name]) for p in self.points if p.name in sizes)


@dataclass(frozen=True)
class Build:
    """A package before it is written: `files` are all of it, its manifest and the record of its texts included."""

    design: Design
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    def verify(self, folder: Path, process: VerificationProcess | None = None) -> None:
        """Compares the files, which lie in `folder`, with the model. Raises HG601 if they disagree."""
        name, model, points = self.manifest["name"], self.design.model, self.design.tried
        verify_package(folder, name, model, points, batches=TRIED, start=True, process=process).require()


def at_size(point: EntryPoint, size: int) -> EntryPoint:
    return replace(point, example=lambda n: point.example(n, size))


def ignore(message: str) -> None:
    """Progress that nobody watches."""


def publish(
    request: Request,
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    force: bool = False,
    progress: Progress = ignore,
) -> Package:
    """The whole pipeline; `progress` is told each stage as it begins."""
    target = Path(os.path.realpath(out))
    name = package_name(name, target.name)
    check_target(target, force=force)
    with VerificationProcess() as process:
        built = build(request, name, progress)
        with staged(built.files, target) as folder:
            progress("verifying it against the model")
            built.verify(folder, process)
            check_target(target, force=force)
            swap_in(folder, target)
    return Package(target, built.manifest, built.design.model, built.design.tried)


def build(request: Request, name: str, progress: Progress = ignore) -> Build:
    """The package in memory, unverified."""
    found = design(request, name, progress)
    progress("emitting the package")
    files = formatted(emit(found.program, found.layout, found.plan))
    if request.origin.single_file:
        files = formatted(single_file(files, found.program))
    manifest = describe_package(
        found.program, found.layout, found.plan, found.points, request.origin, formatter(), files, found.recipe
    )
    return Build(found, manifest, with_record(files, manifest))


def design(request: Request, name: str, progress: Progress = ignore) -> Design:
    """Capture, layout and plan."""
    recipe = chosen_recipe(request.model, request.example, request.recipe, request.loss, progress)
    loss = recipe.loss if recipe is not None and request.loss == "loss" else request.loss
    sample = sampler(request.model, recipe) if request.sample == "sample" else request.sample
    model, source = request.model, request.description or describe_model(request.model)
    entries, critic = request.entries, None
    if recipe is not None and recipe.critic_loss is not None:
        model, source = recipe.model, f"{source} against the critic {describe_model(recipe.model.critic)}"
        entries, critic = {CRITIC_LOSS: recipe.critic_loss, **by_name(entries)}, CRITIC_LOSS
    progress("recording the entry points")
    points = entry_points(model, request.example, loss=loss, sample=sample, entries=entries)
    model = warmed(model, points)
    program = capture(
        model,
        points,
        name=name,
        source=source,
        loss=entry_name(loss, "loss"),
        sample=entry_name(sample, "sample"),
        critic=critic,
        allow_frozen=request.allow_frozen,
    )
    layout = lay_out(program)
    progress("planning the hypernetwork")
    return Design(model, points, program, layout, make_plan(program, layout, request.budget), recipe)


def by_name(entries: Iterable[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Further entry points as a mapping from each one's name."""
    names = (entries,) if isinstance(entries, str) else entries
    return names if isinstance(names, Mapping) else {name: name for name in names}


def entry_name(entry: str | Callable[..., Any] | None, fallback: str) -> str | None:
    return entry if entry is None or isinstance(entry, str) else fallback


def package_name(name: str | None, folder: str) -> str:
    """The given name, or one made from the folder's. Raises HG106 for one that Python cannot import or that would hide
    another module."""
    chosen = identifier(folder) if name is None else name
    if not chosen.isidentifier() or not chosen.isascii() or keyword.iskeyword(chosen) or chosen in UNUSABLE_NAMES:
        raise HyperGenError(
            "HG106",
            f"a package cannot be called {chosen!r}",
            remedy="Give an identifier that is no module of Python or torch, with `--name` or `name=`.",
        )
    return chosen
