"""The pipeline from a model and its entry points to a published package."""

from __future__ import annotations

import keyword
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from hypergen_compiler.capture import EntryPoint, capture, entry_points
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.checker import check_graphs, check_layout, check_plan, check_runs, check_texts, require
from hypergen_compiler.emit.files import emit
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.single_file import single_file
from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.formatting import formatted, formatter
from hypergen_compiler.gains import matrices
from hypergen_compiler.layout import ParameterLayout, lay_out, matching
from hypergen_compiler.manifest import describe_package
from hypergen_compiler.origin import Origin
from hypergen_compiler.package import Package
from hypergen_compiler.plan import SHARING, Plan, left_out
from hypergen_compiler.plan import plan as make_plan
from hypergen_compiler.plan.alternatives import Alternative, weigh
from hypergen_compiler.plan.machine import measure
from hypergen_compiler.pristine import with_record
from hypergen_compiler.program import Program
from hypergen_compiler.publish import check_contents, check_target, staged, swap_in
from hypergen_compiler.recipe_entries import RecipeEntries, chosen_recipe, sampler
from hypergen_compiler.recipes import Recipe
from hypergen_compiler.source import describe_model
from hypergen_compiler.together import run_together
from hypergen_compiler.verify import verify_package
from hypergen_compiler.verify_process import VerificationProcess

__all__ = [
    "Build",
    "DatasetsDiffer",
    "Design",
    "Request",
    "alternatives",
    "build",
    "design",
    "ignore",
    "package_name",
    "publish",
]

CRITIC_LOSS = "critic_loss"  # the entry point that trains a recipe's critic
TRIED = (1, 3)  # batch sizes before publishing; entry points are recorded at others
UNUSABLE_NAMES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "hypergen_compiler", "pytest"})


def ignore(message: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Request:
    """What to compile: the arguments of `compile`, and in `origin` and `description` how the model was named.

    `apart` gives each dataset of a step a pass of its own, also where one for all would be possible.
    """

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
    head: str | None = None
    keep: tuple[str, ...] = ()
    apart: bool = False
    penalty: str | None = None
    space: str | None = None


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
    request: Request
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    def verify(self, folder: Path, process: VerificationProcess | None = None) -> None:
        """Compares the files, which lie in `folder`, with the model.

        Raises HG601 if they disagree, and DatasetsDiffer if they do but for the pass that several datasets share.
        """
        program = self.design.program
        result = verify_package(
            folder,
            self.manifest["name"],
            self.design.model,
            self.design.tried,
            batches=TRIED,
            start=True,
            modeless=[entry.name for entry in program.entries if not entry.knows_mode],
            loss=program.loss,
            process=process,
        )
        if result.failures and all(check.what == "together" for check in result.failures):
            raise DatasetsDiffer(result.failures[0].detail)
        result.require()

    def apart(self, progress: Progress = ignore) -> Build:
        """The same package, but each dataset goes through the model in a pass of its own."""
        request = replace(self.request, apart=True)
        layout, plan = planned(self.design.program, request)
        return emitted(replace(self.design, layout=layout, plan=plan), request, progress)


class DatasetsDiffer(Exception):
    """A pass over several datasets does not do what one over each does, as where a model compares its items."""


def at_size(point: EntryPoint, size: int) -> EntryPoint:
    return replace(point, example=lambda n: point.example(n, size))


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
        try:
            return publish_build(built, target, force, progress, process)
        except DatasetsDiffer as difference:
            progress(f"giving each dataset a pass of its own, for one pass over several differs ({difference})")
    with VerificationProcess() as process:
        return publish_build(built.apart(progress), target, force, progress, process)


def publish_build(built: Build, target: Path, force: bool, progress: Progress, process: VerificationProcess) -> Package:
    """Verifies and publishes. Raises DatasetsDiffer if all is well but for the pass that datasets share."""
    with staged(built.files, target) as folder:
        progress("verifying it against the model")
        built.verify(folder, process)
        check_target(target, force=force)
        swap_in(folder, target, lambda old: None if force else check_contents(old, target.name))
    return Package(target, built.manifest, built.design.model, built.design.tried)


def build(request: Request, name: str, progress: Progress = ignore) -> Build:
    """The package in memory, unverified."""
    return emitted(design(request, name, progress), request, progress)


def emitted(found: Design, request: Request, progress: Progress) -> Build:
    progress("emitting the package")
    files = emit(found.program, found.layout, found.plan)
    require("emission", check_texts(files), found.program)
    files = formatted(files)
    if request.origin.single_file:
        files = formatted(single_file(files, found.program))
    manifest = describe_package(
        found.program, found.layout, found.plan, found.points, request.origin, formatter(), files, found.recipe
    )
    return Build(found, request, manifest, with_record(files, manifest))


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
    require("capture", check_graphs(program) + check_runs(program, model, points), program)
    progress("planning the hypernetwork")
    layout, plan = planned(program, request)
    return Design(model, points, program, layout, plan, recipe)


def planned(program: Program, request: Request) -> tuple[ParameterLayout, Plan]:
    """Layout and plan, checked."""
    layout, plan = chosen(program, request)
    require("layout", check_layout(program, layout), program)
    require("plan", check_plan(program, layout, plan), program)
    return layout, plan


def chosen(program: Program, request: Request) -> tuple[ParameterLayout, Plan]:
    """Layout and plan: one pass for all datasets of a step where the model allows it and nothing else was asked for.

    What cannot differ between datasets within that pass is kept.
    """
    kept = matching(program, request.keep)
    asked = (request.keep, request.penalty, request.space)
    head = "biases" if request.head is None and request.budget is None else request.head
    gains: Mapping[str, int] = {}
    if head in SHARING:
        together = run_together(program, matrices(program, kept) if head == "gains" else ())
        gains, others = together.gains, {p.name for p in program.parameters if p.name not in together.tensors}
        layout = lay_out(program, kept | others, gains)
        changes = layout.conditioned or layout.gains
        shares = program.loss is not None and together.obstacle is None and not request.apart
        if shares and changes and (request.head or suffices(layout)):
            plan = make_plan(program, layout, request.budget, head, *asked)
            return layout, replace(plan, together=True, asked=request.head)
    plan = make_plan(program, lay_out(program, kept, gains), request.budget, request.head, *asked)
    return lay_out(program, kept | left_out(program, plan.head), gains), replace(plan, apart=request.apart)


def suffices(layout: ParameterLayout) -> bool:
    """Whether at least every second matrix has a bias or gain beside it that may differ between datasets."""
    trained = [slot for slot in layout.slots if slot.trained]
    matrices = sum(len(slot.shape) > 1 for slot in trained)
    return 2 * sum(slot.conditioned for slot in trained) >= matrices


def alternatives(
    found: Design, progress: Progress = ignore, clock: Callable[[], float] = time.perf_counter
) -> list[Alternative]:
    """What the plan was chosen from, with costs as this machine would have them."""
    progress("timing a copy and the model itself")
    loss = next((point for point in found.points if point.name == found.program.loss), None)
    kept = matching(found.program, found.plan.keep)
    layout = lay_out(found.program, kept, run_together(found.program, matrices(found.program, kept)).gains)
    return weigh(found.program, layout, found.plan, measure(found.model, loss, clock))


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
