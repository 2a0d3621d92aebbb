"""Entry points to compile: those of the bundled models, and those of a zoo's cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from hypergen_compiler.examples.catalogue import BUNDLED, BundledModel
from hypergen_compiler.request.example import resolve_example
from hypergen_compiler.request.source import resolve_model

__all__ = ["ZooEntry", "bundled_entries", "case_entry"]


@dataclass(frozen=True)
class ZooEntry:
    """`make()` is a fresh model, `method` its entry point, called with `example(n)` for a batch of n."""

    name: str
    make: Callable[[], nn.Module]
    method: str
    example: Callable[[int], tuple[Any, ...]]

    @property
    def package(self) -> str:
        return self.name.replace(".", "_")


def bundled_entries() -> list[ZooEntry]:
    """Every entry point that the committed packages of the bundled models have."""
    return [bundled_entry(model, method) for model in BUNDLED for method in ("loss", "sample", *model.entries)]


def bundled_entry(model: BundledModel, method: str) -> ZooEntry:
    example = (lambda n: (n,)) if method == "sample" else resolve_example(model.example)
    return ZooEntry(f"{model.package}.{method}", lambda: made(model), method, example)


def made(model: BundledModel) -> nn.Module:
    return resolve_model(model.source, model.settings)[0]


def case_entry(case: Any) -> ZooEntry:
    return ZooEntry(case.name, case.module, "forward", case.inputs)
