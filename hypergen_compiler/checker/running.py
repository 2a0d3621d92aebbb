"""Recorded graphs, run: every value has the recorded shape and type, and only what was recorded as written changes.

At batch sizes that were recorded, at which the model itself has run, so that whatever fails here is the graph's fault:
at the smallest, and where sizes that follow the data differ, at the first, on the very data that was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from hypergen_compiler.capture.entry import EntryPoint
from hypergen_compiler.capture.fake import needs_faking
from hypergen_compiler.capture.prepare import RUN_SEED, seeded
from hypergen_compiler.capture.record import batch_sizes
from hypergen_compiler.capture.steps import shortened
from hypergen_compiler.capture.tape import fill, same_values, tensors
from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.program import Affine, Choice, Curve, Entry, Extent, Half, Program, project

__all__ = ["check_runs"]


def check_runs(program: Program, model: nn.Module, points: Sequence[EntryPoint]) -> list[Violation]:
    """Every graph, in each mode that it is for; none of a model without values, or too large to run here.

    `model` is only asked for batch sizes: values come from the program.
    """
    if needs_faking(model) or not program.recorded_values:
        return []
    by_name = {point.name: point for point in points}
    found: list[Violation] = []
    for entry in program.entries:
        for graph, training in runs(entry):
            found += check_graph(program, entry, graph, by_name[entry.name], batch_sizes(model), training)
    return found


def check_graph(
    program: Program, entry: Entry, graph: torch.fx.Graph, point: EntryPoint, sizes: Sequence[int], training: bool
) -> list[Violation]:
    at_smallest = check_run(program, entry, graph, point, min(sizes), training)
    return at_smallest and check_run(program, entry, graph, point, sizes[0], training)


def runs(entry: Entry) -> list[tuple[torch.fx.Graph, bool]]:
    if entry.evaluation is not None:
        return [(entry.graph, True), (entry.evaluation.graph, False)]
    return [(entry.graph, True), (entry.graph, False)] if entry.knows_mode else [(entry.graph, True)]


def check_run(
    program: Program, entry: Entry, graph: torch.fx.Graph, point: EntryPoint, size: int, training: bool
) -> list[Violation]:
    with seeded():
        inputs = point.example(size)
    run = Run(Sizes(size, point.usual_size or 0, training), values_of(program))
    before = {name: value.detach().clone() for name, value in run.values.items()}
    with seeded(RUN_SEED), torch.enable_grad(), shortened():
        try:
            for node in graph.nodes:
                run.step(node, inputs, entry)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            return [
                Violation(f"{entry.name} cannot be run at {node.name}: {type(error).__name__}: {text}", where(node))
            ]
    run.found += unrecorded(run, before, entry)
    return run.found


def values_of(program: Program) -> dict[str, Tensor]:
    """Weights, buffers and constants by all their names, as copies that may be changed."""
    values = {name: value.detach().clone() for name, value in program.constants.items()}
    for buffer in program.buffers:
        values |= dict.fromkeys((buffer.name, *buffer.aliases), buffer.value.detach().clone())
    for parameter in program.parameters:
        value = parameter.value.detach().clone().requires_grad_(parameter.trained or parameter.critic)
        values |= dict.fromkeys((parameter.name, *parameter.aliases), value)
    return values


@dataclass(frozen=True)
class Sizes:
    """What numbers that follow something follow: the batch n, the second free size s, and the mode."""

    n: int
    s: int
    training: bool

    def number(self, value: Any) -> Any:
        if isinstance(value, Affine | Curve | Half):
            return value.at(self.n)
        if isinstance(value, Extent):
            return int(value.at(self.n, self.s))
        if isinstance(value, Choice):
            return value.training if self.training else value.evaluation
        return value


@dataclass
class Run:
    """What every node gave, and in `storages` which of the recorded storages hold each real one."""

    sizes: Sizes
    values: dict[str, Tensor]
    results: dict[torch.fx.Node, Any] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    found: list[Violation] = field(default_factory=list)

    def step(self, node: torch.fx.Node, inputs: tuple[Any, ...], entry: Entry) -> None:
        if node.op == "placeholder":
            self.results[node] = inputs[[item.name for item in entry.inputs].index(node.meta["input"].name)]
        elif node.op == "get_attr":
            self.results[node] = self.values[node.target]
        elif node.op == "call_function":
            if node.meta.get("mode") == "training" and not self.sizes.training:
                return
            self.call(node, entry)
        if "shape" in node.meta and node.op != "output":
            self.compare(node, entry)

    def call(self, node: torch.fx.Node, entry: Entry) -> None:
        args, kwargs = fill((node.args, node.kwargs), self.argument)
        if node.target is project:
            self.results[node] = project(*args)
            return
        given = tensors((args, kwargs))
        versions = [version(tensor) for tensor in given]
        generator = torch.get_rng_state()
        with torch.set_grad_enabled(node.meta["grad"]):
            self.results[node] = node.target(*args, **kwargs)
        if not node.meta["random"] and not torch.equal(generator, torch.get_rng_state()):
            self.found.append(Violation(f"{node.name} of {entry.name} draws random numbers unrecorded", where(node)))
        changed = {storage(t) for t, before in zip(given, versions, strict=True) if version(t) != before}
        if changed:
            self.check_writes(node, changed, entry)

    def argument(self, leaf: Any) -> Any:
        return self.results[leaf] if isinstance(leaf, torch.fx.Node) else self.sizes.number(leaf)

    def check_writes(self, node: torch.fx.Node, changed: set[int], entry: Entry) -> None:
        """Whatever lies in memory that a call changed, and is read again, is recorded as written by it."""
        recorded = node.meta["writes"]
        for other, value in self.results.items():
            touched = isinstance(value, Tensor) and storage(value) in changed and other is not node
            if touched and other.meta.get("storage") not in recorded and is_read_later(other, node):
                what = f"{node.name} of {entry.name} changes {other.name}, which is not recorded"
                self.found.append(Violation(what, where(node)))

    def compare(self, node: torch.fx.Node, entry: Entry) -> None:
        value, wanted = self.results[node], tuple(map(self.sizes.number, node.meta["shape"]))
        if not isinstance(value, Tensor):
            self.found.append(Violation(f"{node.name} of {entry.name} is no tensor", where(node)))
        elif tuple(value.shape) != wanted or value.dtype != node.meta["dtype"]:
            what = f"{value.dtype} {list(value.shape)}, recorded as {node.meta['dtype']} {list(wanted)}"
            self.found.append(Violation(f"{node.name} of {entry.name} is {what}", where(node)))


def is_read_later(value: torch.fx.Node, node: torch.fx.Node) -> bool:
    """Whether anything behind a node reads a value."""
    return any(user is not node and node < user for user in value.users)


def unrecorded(run: Run, before: dict[str, Tensor], entry: Entry) -> Iterator[Violation]:
    """Weights, buffers and constants that changed although no call is recorded as writing into them."""
    nodes = {node.target: node for node in run.results if node.op == "get_attr"}
    written = frozenset().union(*(node.meta.get("writes", frozenset()) for node in run.results))
    for name, node in nodes.items():
        if node.meta["storage"] not in written and not same_values(run.values[name].detach(), before[name]):
            yield Violation(f"{entry.name} changes {name!r}, and no call is recorded as writing into it", entry.origin)


def storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return id(tensor)


def version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def where(node: torch.fx.Node) -> str | None:
    return node.meta.get("where")
