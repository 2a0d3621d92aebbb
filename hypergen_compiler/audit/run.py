"""A run of a package as something to audit: its checkpoint, and the package that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hypergen_compiler.audit.items import Items, few, grouped, labels_of, named_arrays
from hypergen_compiler.audit.subject import Reader, Subject, items_in, tried
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.publishing.manifest import MANIFEST, read_manifest
from hypergen_compiler.publishing.package import import_package

__all__ = ["is_run", "run_of_package"]

CHECKPOINT = "checkpoint.safetensors"


def is_run(folder: Path) -> bool:
    return (folder / CHECKPOINT).is_file()


class Opened(NamedTuple):
    """A package, its manifest, and what training made of it."""

    module: ModuleType
    manifest: dict[str, Any]
    hypernetwork: Any
    state: Any


def run_of_package(folder: Path, package: Path | None, data: Path, labels: str | None) -> tuple[Subject, Items]:
    """The hypernetwork of a run's checkpoint, under the weights that it emits for the data.

    Raises HG701 where no package, or more than one, fits the checkpoint, HG702 where the data do not fit the package or
    it has no sampler.
    """
    module, manifest, hypernetwork, state = opened(folder, package)
    if manifest["sample"] is None:
        raise HyperGenError("HG702", f"{module.__name__} has no sampler", remedy="Compile the model with one.")
    items = items_of(module, data, labels)
    weights, own_data, export = part(module, "weights"), part(module, "data"), part(module, "export")
    loss, draw = (getattr(part(module, "model"), manifest[name]) for name in ("loss", "sample"))

    @torch.no_grad()
    def emit(inputs: tuple[Tensor, ...]) -> Tensor:
        return export.emit_for(hypernetwork, own_data.Data(inputs, None))

    @torch.no_grad()
    def sample(flat: Tensor, n: int) -> Tensor:
        return items_in(draw(weights.unpack(flat), state, n))

    flat = emit(items.inputs)
    subject = Subject(
        f"{folder.name} of {module.__name__}",
        "run",
        lambda n: sample(flat, n),
        lambda *inputs: loss(weights.unpack(flat), state, *inputs),
        Reader(emit, sample),
    )
    tried(subject, items, data)
    return subject, items


def opened(folder: Path, package: Path | None) -> Opened:
    """What fits a run's checkpoint: the package that is named, or the only one nearby."""
    fitting, reasons = [], []
    for place in candidates(folder) if package is None else [package]:
        manifest = read_manifest(place)
        if manifest["loss"] is None:
            continue
        module = import_package(place, manifest["name"])
        try:
            hypernetwork, state = part(module, "export").read_run(folder)
            fitting.append((place, Opened(module, manifest, hypernetwork.eval(), state.eval())))
        except (RuntimeError, KeyError, SystemExit) as error:
            reasons.append(f"{place}: {' '.join(str(error).split())}")
    if len(fitting) != 1:
        names = ", ".join(str(place) for place, _ in fitting)
        what = f"{names} fit its checkpoint" if fitting else "; ".join(["no package fits its checkpoint", *reasons])
        raise HyperGenError("HG701", f"{folder}: {what}", remedy="Name the folder of its package with --package.")
    return fitting[0][1]


def candidates(folder: Path) -> Iterator[Path]:
    """Packages beside the run, above it, or in the current folder."""
    places = dict.fromkeys(p.resolve() for p in (folder.parent, folder.parent.parent, Path.cwd()))
    seen = dict.fromkeys(found for place in places for found in (place, *sorted(place.iterdir())))
    return (place for place in seen if (place / MANIFEST).is_file())


def items_of(module: ModuleType, data: Path, labels: str | None) -> Items:
    """The data as the package reads them, at most LARGEST items, and their groups."""
    try:
        found = part(module, "data").read_data(data)
    except SystemExit as error:
        raise HyperGenError("HG702", str(error), remedy=f"Give data that {module.__name__} was made for.") from error
    groups, names = found.labels, getattr(found, "names", ())
    if labels is not None:
        arrays = named_arrays(data)
        groups, names = arrays[labels_of(data, arrays, labels) or labels].long(), ()
    chosen = few(len(found.inputs[0]))
    inputs = part(module, "hypernetwork").as_inputs(found.rows(chosen))
    return grouped(data, inputs, None if groups is None else groups[chosen], names)


def part(module: ModuleType, name: str) -> Any:
    """A module of a package, or the package itself where it is one file."""
    found = getattr(module, name, None)
    return found if isinstance(found, ModuleType) else module
