"""What HyperGen does, as Python functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.design import Request, design
from hypergen_compiler.errors import HyperGenError, Progress, ignore
from hypergen_compiler.owning.rebuild import completed, example_of, points_of, rebuild_model
from hypergen_compiler.pipeline import package_name, publish
from hypergen_compiler.plan import Plan
from hypergen_compiler.publishing.manifest import edited_files, read_manifest
from hypergen_compiler.publishing.package import Package
from hypergen_compiler.recipes import Recipe, with_critic
from hypergen_compiler.verification.alone import run_package
from hypergen_compiler.verification.findings import Verification
from hypergen_compiler.verification.verify import verify_package

__all__ = ["compile", "plan", "verify", "verify_folder"]


def compile(
    model: nn.Module,
    example: Any,
    *,
    out: str | os.PathLike[str],
    loss: str | Callable[..., Any] | None = "loss",
    sample: str | Callable[..., Any] | None = "sample",
    entries: Iterable[str] | Mapping[str, Any] = (),
    name: str | None = None,
    budget: str | int | None = None,
    force: bool = False,
    allow_frozen: bool = False,
    recipe: str | Mapping[str, Any] | Recipe | None = None,
    critic: nn.Module | str | None = None,
    head: str | None = None,
    keep: Iterable[str] = (),
    penalty: str | None = None,
    penalty_space: str | None = None,
) -> Package:
    """Compiles `model` into a training package in the folder `out`, which is verified before it is published.

    `example` is what one call of the loss takes: a tensor, a tuple of tensors, or a function n -> tuple giving a batch
    of n. `loss` is a method's name or a callable (model, *inputs) -> scalar or [n], None to emit no training modules;
    `sample` a method's name or a callable (model, n) -> samples shaped like the loss's first input, None for no
    penalty. `entries` are further entry points: names, or a mapping name -> method | callable | (callable, example).
    `name` is the package's, by default the folder's; `budget` the memory for training, such as "64MB". `force` replaces
    a folder that holds something else or was edited. `allow_frozen` keeps decisions that the model takes from its
    weights as they are now, and lists them. `recipe` makes loss and sampler around a model that is only a network,
    unless they are given: a name of `hypergen_compiler.recipes.RECIPES`, a mapping of a name and settings, or a recipe.
    Without one, models of well-known libraries are recognised. With a `critic`, a module that scores items or a
    reference to one, the model is the generator of the recipe `gan`: the critic's weights are trained beside it, and
    the callables are given a model of the two, `generator` and `critic`. `head` is one of
    `hypergen_compiler.plan.HEADS`, by default what suits the budget; weights whose names match a pattern in `keep`,
    such as "encoder.*", are learned the same for all datasets. `penalty` is one of `hypergen_compiler.plan.PENALTIES`,
    by default "unbiased"; it compares what `penalty_space` says, "weights" or "embedding": by default weights for a
    model of less than 100 of them and no matrix, embeddings for a network.

    Raises HyperGenError, and then has changed nothing.
    """
    asked = with_critic(recipe, critic)
    choices = {"head": head, "keep": patterns(keep), "penalty": penalty, "space": penalty_space}
    request = Request(model, example, loss, sample, entries, budget, asked, allow_frozen=allow_frozen, **choices)
    return publish(request, out, name=name, force=force)


def plan(
    model: nn.Module,
    example: Any,
    *,
    loss: str | Callable[..., Any] | None = "loss",
    sample: str | Callable[..., Any] | None = "sample",
    entries: Iterable[str] | Mapping[str, Any] = (),
    name: str | None = None,
    budget: str | int | None = None,
    allow_frozen: bool = False,
    recipe: str | Mapping[str, Any] | Recipe | None = None,
    critic: nn.Module | str | None = None,
    head: str | None = None,
    keep: Iterable[str] = (),
    penalty: str | None = None,
    penalty_space: str | None = None,
) -> Plan:
    """What `compile` would emit for the same arguments, without writing anything."""
    asked = with_critic(recipe, critic)
    choices = {"head": head, "keep": patterns(keep), "penalty": penalty, "space": penalty_space}
    request = Request(model, example, loss, sample, entries, budget, asked, allow_frozen=allow_frozen, **choices)
    return design(request, package_name(name, "package")).plan


def patterns(keep: Iterable[str]) -> tuple[str, ...]:
    return (keep,) if isinstance(keep, str) else tuple(keep)


def verify(
    path: str | os.PathLike[str], model: nn.Module | None = None, *, critic: nn.Module | str | None = None
) -> Verification:
    """Compares a published package with `model`, or with the model rebuilt from its manifest.

    `critic` is the one that `compile` was given, where it was an object, which the manifest cannot name.
    Where neither is at hand, the package is only run, and the notes say so. Raises HG504 if the folder is no package
    and HG602 if it does not import; a difference is no exception but a failed check.
    """
    return verify_folder(Path(path), model=model, critic=critic)


def verify_folder(
    path: Path,
    *,
    model: nn.Module | None = None,
    source: str | None = None,
    critic: nn.Module | str | None = None,
    progress: Progress = ignore,
) -> Verification:
    """`verify`, where the model may also be named by `source`. Raises HG603 if that source cannot be made a model."""
    manifest = read_manifest(path)
    notes = [f"{file} was edited since it was published" for file in edited_files(path, manifest)]
    if model is not None:
        model = completed(manifest, model, critic)
    else:
        try:
            progress("rebuilding the model")
            model = completed(manifest, rebuild_model(manifest, source), critic)
        except HyperGenError as error:
            if source is not None or critic is not None:
                raise
            progress("running the package")
            notes.append(f"not compared with the model: {error.what}")
            examples = {name: example_of(entry) for name, entry in manifest["entries"].items()}
            return with_notes(run_package(path, manifest["name"], examples), notes)
    points, callers = points_of(manifest, model)
    notes += [f"{name} is not compared: it is a function that only the caller of the compiler has" for name in callers]
    progress("comparing the package with the model")
    only = {name: entry.get("only") for name, entry in manifest["entries"].items()}
    result = verify_package(path, manifest["name"], warmed(model, points), points, only=only, loss=manifest["loss"])
    return with_notes(result, notes)


def with_notes(verification: Verification, notes: list[str]) -> Verification:
    return Verification(verification.checks, (*notes, *verification.notes))
