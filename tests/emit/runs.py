"""Runs of small packages, for tests of the emitted Trainer."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch

__all__ = ["equal", "module", "tensors", "trainer"]


def module(package: str, name: str) -> ModuleType:
    return importlib.import_module(f"{package}.{name}")


def trainer(folder: Path, package: str = "quiet", out: Path | None = None, **settings):
    data = module(package, "data").read_data(folder / "data.npz")
    chosen = {"steps": 16, "batch": 8, "episodes": 2, **settings}
    training = module(package, "training")
    return training.Trainer(data, training.Settings(**chosen), out)


def tensors(found) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in found.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
