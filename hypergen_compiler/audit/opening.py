"""From what a person names to what is audited, and its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypergen_compiler.audit.items import Items
from hypergen_compiler.audit.run import is_run, run_of_package
from hypergen_compiler.audit.subject import Subject, plain_model, samples
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.references import is_reference

__all__ = ["Choices", "opened"]


@dataclass(frozen=True)
class Choices:
    """The package of a run; the weights of a model, what it is made with, and its methods."""

    package: Path | None = None
    weights: Path | None = None
    settings: Mapping[str, Any] | None = None
    loss: str = "loss"
    sample: str = "sample"


def opened(name: str, data: Path, labels: str | None, choices: Choices) -> tuple[Subject, Items]:
    """A run's folder, samples in a file, or a model's source, with the data to compare with.

    Raises HG701 where the name is none of these, and whatever opening it raises.
    """
    place = Path(name)
    if place.is_dir() and is_run(place):
        return run_of_package(place, choices.package, data, labels)
    if place.is_file() and place.suffix in (".npz", ".npy", ".pt"):
        return samples(place, data, labels)
    if is_reference(name):
        methods = (choices.loss, choices.sample)
        return plain_model(name, dict(choices.settings or {}), choices.weights, methods, data, labels)
    raise HyperGenError(
        "HG701",
        f"{name} is no folder with a checkpoint, no file of samples, and names no model",
        remedy="Name the folder that training wrote to, a .npz, .npy or .pt file, or path/to/file.py:Name.",
    )
