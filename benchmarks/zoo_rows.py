"""One entry point compiled, and what there is to say about it."""

from __future__ import annotations

import importlib.metadata
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import nn

import hypergen_compiler as hypergen
from benchmarks.code_lines import definition_lines, function_lines, longest_function
from benchmarks.zoo_entries import ZooEntry
from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.capture.warm import warmed
from hypergen_compiler.program import Program, project

__all__ = ["Row", "measure"]


@dataclass
class Row:
    """`result` is `equal` or an error's code; `whole_graph` is `yes`, `no` or empty where nothing was emitted.

    `lines` are those of the emitted functions, `own_lines` those of the model's functions whose calls were recorded.
    `calls` counts the recorded calls by name; `packages` are the distributions that the model's classes come from, with
    their versions.
    """

    name: str
    lines: int = 0
    own_lines: int = 0
    longest: int = 0
    seconds: float = 0.0
    result: str = ""
    whole_graph: str = ""
    notes: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    packages: dict[str, str] = field(default_factory=dict)


def measure(entry: ZooEntry) -> Row:
    """Compiles an entry point into a folder that is thrown away; an error becomes the row's result and a note."""
    row = Row(entry.name)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = entry.make()
            row.packages = distributions(model)
            fill(row, entry, model, Path(folder) / entry.package)
        except hypergen.HyperGenError as error:
            row.result = error.code
            row.notes.append(f"{error.what}{f' (at {error.where})' if error.where else ''}")
        except Exception as error:
            row.result = type(error).__name__
            row.notes.append(first_line(error))
    return row


def fill(row: Row, entry: ZooEntry, model: nn.Module, folder: Path) -> None:
    names = {entry.method: (entry.method, entry.example)}
    started = time.perf_counter()
    package = hypergen.compile(model, entry.example, loss=None, sample=None, entries=names, out=folder)
    row.seconds, row.result = time.perf_counter() - started, "equal"
    text = package.files["model.py"].decode()
    row.lines, row.longest = definition_lines(text), longest_function(text)
    points = entry_points(model, entry.example, loss=None, sample=None, entries=names)
    program = capture(warmed(model, points), points, name=package.name, source="")
    row.calls, row.own_lines = count_calls(program), function_lines(recorded_functions(program))
    row.whole_graph, reasons = whole_graph(package.load(), entry)
    row.notes += reasons


def count_calls(program: Program) -> Counter[str]:
    return Counter(
        node.meta["name"]
        for entry in program.entries
        for graph in entry.graphs
        for node in graph.nodes
        if node.op == "call_function" and node.target is not project
    )


def recorded_functions(program: Program) -> set[CodeType]:
    """The functions that ran, those of torch's distributions among them, but none of its layers."""
    found: set[CodeType] = set()
    for entry in program.entries:
        for graph in entry.graphs:
            for node in graph.nodes:
                scope = node.meta.get("scope")
                while scope is not None and scope.code is not None:
                    if not scope.where.startswith("torch.nn."):
                        found.add(scope.code)
                    scope = scope.parent
    return found


def whole_graph(package: Any, entry: ZooEntry) -> tuple[str, list[str]]:
    """Whether `torch.compile(fullgraph=True)` takes the emitted function in both modes with equal results; why not."""
    reasons = []
    for training in (True, False):
        torch._dynamo.reset()
        mode = "training" if training else "evaluation"
        function = getattr(package.model, entry.method)
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        expected = observe(package, function, entry, training)
        try:
            apart = largest_difference(observe(package, compiled, entry, training), expected)
        except Exception as error:
            reasons.append(f"{mode}: {first_line(error)}")
            continue
        if apart > 1e-4:
            reasons.append(f"{mode}: runs, but differs from eager by {apart:.1e} of the largest value")
    return ("no" if reasons else "yes"), reasons


def observe(package: Any, function: Any, entry: ZooEntry, training: bool) -> list[torch.Tensor]:
    """The outputs of a call and, where it has gradients, the gradient of the sum of the outputs' means."""
    inputs = entry.example(3)
    flat = package.weights.initial_weights().requires_grad_()
    torch.manual_seed(0)
    output = function(package.weights.unpack(flat * 1), package.weights.State(), *inputs, training=training)
    found = [leaf for leaf in torch.utils._pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    tracked = [leaf for leaf in found if leaf.requires_grad]
    if tracked:
        sum(leaf.abs().mean() for leaf in tracked).backward()
        found.append(flat.grad)
    return [leaf.detach() for leaf in found]


def largest_difference(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    pairs = [(one, other) for one, other in zip(found, expected, strict=True) if other.numel()]
    return max(
        (float((one - other).abs().max()) / (float(other.abs().max()) + 1e-12) for one, other in pairs), default=0.0
    )


def distributions(model: nn.Module) -> dict[str, str]:
    """Name and version of the installed distributions, torch and HyperGen aside, whose classes the model is made of."""
    homes = importlib.metadata.packages_distributions()
    roots = {type(module).__module__.partition(".")[0] for module in model.modules()} - {"torch", "hypergen_compiler"}
    names = {homes[root][0] for root in roots if root in homes}
    return {name: importlib.metadata.version(name) for name in names}


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]
