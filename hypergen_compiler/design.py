"""The design of a package: what is captured of a model, where its weights lie, and which hypernetwork emits them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from hypergen_compiler.capture import EntryPoint, capture, entry_points
from hypergen_compiler.capture.entry import entry_name
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.checker import check_graphs, check_layout, check_plan, check_runs, require
from hypergen_compiler.errors import Progress, ignore
from hypergen_compiler.layout import ParameterLayout, lay_out, matching
from hypergen_compiler.plan import BYTES, SHARING, Plan, left_out
from hypergen_compiler.plan import plan as make_plan
from hypergen_compiler.plan.alternatives import Alternative, weigh
from hypergen_compiler.plan.budget import in_bytes
from hypergen_compiler.plan.gains import matrices
from hypergen_compiler.plan.heads import LEAST_RANK, of_head
from hypergen_compiler.plan.machine import measure
from hypergen_compiler.plan.together import Together, run_together
from hypergen_compiler.program import Program
from hypergen_compiler.recipes import Recipe
from hypergen_compiler.recipes.entries import RecipeEntries, chosen_recipe, sampler
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.source import describe_model

__all__ = ["Design", "Request", "alternatives", "design", "planned"]

CRITIC_LOSS = "critic_loss"  # the entry point that trains a recipe's critic


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
    """Everything that is known before text is written; `recipe` is what gave the loss, if one did, and `together` what
    datasets may have of their own in one pass of the model, if the plan had to know."""

    model: nn.Module
    points: tuple[EntryPoint, ...]
    program: Program
    layout: ParameterLayout
    plan: Plan
    recipe: RecipeEntries | None = None
    together: Together | None = None

    @property
    def tried(self) -> tuple[EntryPoint, ...]:
        """The entry points as verification tries them: those with a free size also at another than the example's."""
        sizes = {entry.name: entry.other_size for entry in self.program.entries if entry.other_size is not None}
        return self.points + tuple(at_size(p, sizes[p.name]) for p in self.points if p.name in sizes)


def at_size(point: EntryPoint, size: int) -> EntryPoint:
    return replace(point, example=lambda n: point.example(n, size))


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
        loss=None if loss is None else entry_name(loss, "loss"),
        sample=None if sample is None else entry_name(sample, "sample"),
        critic=critic,
        allow_frozen=request.allow_frozen,
    )
    require("capture", check_graphs(program) + check_runs(program, model, points), program)
    progress("planning the hypernetwork")
    layout, plan, together = planned(program, request)
    return Design(model, points, program, layout, plan, recipe, together)


def planned(program: Program, request: Request) -> tuple[ParameterLayout, Plan, Together | None]:
    """Layout and plan, checked, and what datasets may have of their own in one pass."""
    layout, plan, together = chosen(program, request)
    require("layout", check_layout(program, layout), program)
    require("plan", check_plan(program, layout, plan), program)
    return layout, plan, together


def chosen(program: Program, request: Request) -> tuple[ParameterLayout, Plan, Together | None]:
    """Layout and plan: one pass for all datasets of a step where the model allows it and nothing else was asked for.

    What cannot differ between datasets within that pass is kept.
    """
    kept = matching(program, request.keep)
    head = "biases" if request.head is None and request.budget is None else request.head
    together = run_together(program, matrices(program, kept) if head == "gains" else ()) if head in SHARING else None
    gains = together.gains if together else {}
    if together and together.obstacle is None and program.loss is not None and not request.apart:
        others = {parameter.name for parameter in program.parameters if parameter.name not in together.tensors}
        layout = lay_out(program, kept | others, gains)
        if (layout.conditioned or layout.gains) and (request.head or suffices(layout)):
            return layout, replace(plan_of(program, layout, request, head), together=True, asked=request.head), together
    spared = largest(program, kept) if request.head is None and request.budget is not None else frozenset()
    layouts = lay_out(program, kept, gains), lay_out(program, kept | spared, gains)
    if spared and [affords_rank(layout, request.budget) for layout in layouts] != [False, True]:
        spared = frozenset()
    plan = plan_of(program, layouts[bool(spared)], request, request.head)
    layout = lay_out(program, kept | spared | left_out(program, plan.head), gains)
    return layout, replace(plan, apart=request.apart, spared=tuple(sorted(spared))), together


def plan_of(program: Program, layout: ParameterLayout, request: Request, head: str | None) -> Plan:
    return make_plan(program, layout, request.budget, head, request.keep, request.penalty, request.space)


def largest(program: Program, kept: frozenset[str]) -> frozenset[str]:
    """The tensor that has more elements than all others together, as the embedding of a vocabulary may; maybe none."""
    sizes = {p.name: p.value.numel() for p in program.parameters if p.trained and p.name not in kept}
    return frozenset(name for name, size in sizes.items() if 2 * size > sum(sizes.values()) and len(sizes) > 1)


def affords_rank(layout: ParameterLayout, budget: str | int) -> bool:
    """Whether a budget is enough for a low-rank head of a rank with which weights follow the data."""
    limit = in_bytes(budget, BYTES * layout.trained)
    return any(option.rank >= LEAST_RANK and option.bytes <= limit for option in of_head("low-rank", layout))


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
    kept = matching(found.program, found.plan.keep) | frozenset(found.plan.spared)
    together = run_together(found.program, matrices(found.program, kept))
    layout = lay_out(found.program, kept, together.gains)
    return weigh(found.program, layout, found.plan, measure(found.model, loss, clock), together)


def by_name(entries: Iterable[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Further entry points as a mapping from each one's name."""
    names = (entries,) if isinstance(entries, str) else entries
    return names if isinstance(names, Mapping) else {name: name for name in names}
