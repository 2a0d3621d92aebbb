"""What several datasets may have of their own in one pass of the model: small tensors that act item by item.

A bias, a norm's gain or a scalar that meets a batch of activations can be one per item without a copy of any matrix:
`F.linear(x, W, b)` is `F.linear(x, W) + b`, and `b` may have a row for each item. Where every use of a tensor is of
that kind, all datasets of a training step go through the model in one pass, which costs next to nothing, and not in one
each. Matrices may have a gain per output channel (`gains.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch.fx

from hypergen_compiler.capture.recorded_calls import arguments, leads_with_batch
from hypergen_compiler.plan.gains import find_gains, gained_calls
from hypergen_compiler.program import Choice, Entry, Program

__all__ = ["Rewrite", "Together", "rewritten", "run_together"]

LINEAR, CONVOLUTION, NORM = "bias after a product", "bias after a convolution", "gain and bias after a norm"
LAYERS = {"torch.nn.functional.linear": LINEAR, "torch.addmm": LINEAR}
LAYERS |= {f"torch.nn.functional.conv{d}d": CONVOLUTION for d in (1, 2, 3)}
LAYERS |= {f"torch.conv{d}d": CONVOLUTION for d in (1, 2, 3)}
LAYERS |= {f"torch.nn.functional.conv_transpose{d}d": CONVOLUTION for d in (1, 2, 3)}
LAYERS |= {f"torch.nn.functional.{name}_norm": NORM for name in ("layer", "group", "batch", "rms")}
PLACES = {LINEAR: ("bias", "input"), CONVOLUTION: ("bias",), NORM: ("weight", "bias")}
ITEMWISE = {  # what meets a batch, and whether its operands may change places
    "Tensor.add": ("add", True),
    "torch.add": ("add", True),
    "Tensor.sub": ("subtract", False),
    "torch.sub": ("subtract", False),
    "Tensor.mul": ("multiply", True),
    "torch.mul": ("multiply", True),
    "Tensor.div": ("divide", False),
    "torch.div": ("divide", False),
}
ELEMENTWISE = frozenset("exp log sqrt rsqrt square abs neg sigmoid tanh softplus relu clamp reciprocal".split())
WITH_NUMBER = frozenset(ITEMWISE) | {"Tensor.pow", "torch.pow"}


@dataclass(frozen=True)
class Rewrite:
    """The function of `layers.py` that a recorded call becomes.

    `own` counts the dimensions of a small tensor that meets a batch, the argument number `batch`; None for a layer.
    """

    function: str
    own: int | None = None
    batch: int = 0


@dataclass(frozen=True)
class Together:
    """`tensors` may differ between the datasets of one pass once `calls` are rewritten; `reasons` tell of the other
    small tensors why they may not. `obstacle` is why there can be no such pass at all, if there cannot.

    `gains` are the dimensions that count the output channels of the matrices whose gains may differ; `reasons` tell of
    the others too."""

    calls: Mapping[torch.fx.Node, Rewrite]
    tensors: frozenset[str]
    reasons: Mapping[str, str]
    obstacle: str | None = None
    gains: Mapping[str, int] = field(default_factory=dict)


def run_together(program: Program, gained: Collection[str] = ()) -> Together:
    """Finds every tensor of at most one dimension that training and sampling use item by item only, and of the matrices
    `gained` those whose output channels may have gains.

    Entry points that training does not call are rewritten where they can be, and decide nothing.
    """
    small = {p.name for p in program.parameters if p.trained and p.value.ndim <= 1}
    names = {alias: p.name for p in program.parameters for alias in (p.name, *p.aliases)}
    wanted = [entry for entry in program.entries if entry.name in (program.loss, program.sample)]
    gains, reasons = find_gains(wanted, gained, names)
    while True:
        refused = dict(
            found for entry in wanted for graph in entry.graphs for found in Pass(graph, small, names).refused()
        )
        if not refused:
            break
        reasons |= refused
        small = small - refused.keys()
    calls: dict[torch.fx.Node, Rewrite] = {}
    for entry in program.entries:
        for graph in entry.graphs:
            calls |= {node: Rewrite(node.meta["name"].rpartition(".")[2]) for node in gained_calls(graph, gains, names)}
            calls |= Pass(graph, small, names).calls
    return Together(calls, frozenset(small), reasons, obstacle(wanted), gains)


def obstacle(entries: list[Entry]) -> str | None:
    """A batch normalisation normalises all datasets of a pass alike, and so must do it alike under emitted weights."""
    nodes = (node for entry in entries for graph in entry.graphs for node in graph.nodes)
    for node in nodes:
        if node.meta.get("name") == "torch.nn.functional.batch_norm":
            given = arguments(node, node.meta["name"])
            training = given.get("training", False)
            if given.get("running_mean") is None and (training is True or isinstance(training, Choice)):
                return f"the batch normalisation at {node.meta.get('where')} keeps no running statistics"
    return None


@contextmanager
def rewritten(together: Together | None) -> Iterator[None]:
    """Within it the calls of a recorded program carry what they become, in `meta["rewrite"]`; None changes nothing."""
    calls = together.calls if together else {}
    for node, rewrite in calls.items():
        node.meta["rewrite"] = rewrite
    try:
        yield
    finally:
        for node in calls:
            del node.meta["rewrite"]


class Pass:
    """One walk through a graph: `own` holds the values that have a row per dataset, with the tensors behind them."""

    def __init__(self, graph: torch.fx.Graph, small: set[str], names: Mapping[str, str]):
        self.own: dict[torch.fx.Node, frozenset[str]] = {}
        self.calls: dict[torch.fx.Node, Rewrite] = {}
        self.problems: list[tuple[frozenset[str], str]] = []
        for node in graph.nodes:
            if node.op == "get_attr" and names.get(node.target) in small:
                self.own[node] = frozenset({names[node.target]})
            elif node.op == "call_function":
                self.visit(node)
            elif node.op == "output":
                for source in node.all_input_nodes:
                    if source in self.own:
                        self.problems.append((self.own[source], "an entry point returns it"))

    def refused(self) -> Iterator[tuple[str, str]]:
        """Tensors that some use does not allow to differ between items, and which."""
        for tensors, reason in self.problems:
            for name in sorted(tensors):
                yield name, reason

    def visit(self, node: torch.fx.Node) -> None:
        own = [source for source in node.all_input_nodes if source in self.own]
        if not own:
            return
        name = node.meta.get("name", "")
        rewrite = self.layer(node, name, own) or self.met(node, name, own)
        if rewrite is not None:
            self.calls[node] = rewrite
        elif self.stays_small(node, name, own):
            self.own[node] = frozenset().union(*(self.own[source] for source in own))
        else:
            for source in own:
                self.problems.append(
                    (self.own[source], f"{name.rpartition('.')[2] or 'a call'} takes it at {node.meta.get('where')}")
                )

    def layer(self, node: torch.fx.Node, name: str, own: list[torch.fx.Node]) -> Rewrite | None:
        """A layer that takes its small tensors in the places where they act on its result."""
        kind = LAYERS.get(name)
        if kind is None:
            return None
        given = arguments(node, name)
        items = given.get("mat1") if name == "torch.addmm" else given.get("input")
        places = [place for place in PLACES[kind] if given.get(place) in own and given.get(place) is not items]
        if len(places) < len(own) or not leads_with_batch(items) or len(set(map(id, own))) < len(own):
            return None
        if "beta" in given or "alpha" in given or len(given.get("normalized_shape", (1,))) != 1:
            return None
        return Rewrite(name.rpartition(".")[2])

    def met(self, node: torch.fx.Node, name: str, own: list[torch.fx.Node]) -> Rewrite | None:
        """Arithmetic of a batch and a small value."""
        operator, commutes = ITEMWISE.get(name, (None, False))
        if operator is None or len(own) != 1 or len(node.args) != 2 or node.kwargs:
            return None
        place = 1 if node.args[0] is own[0] else 0
        batch, dimensions = node.args[place], len(own[0].meta["shape"])
        written_first = place == (1 if node.meta["call"].reflected else 0)
        if not (commutes or written_first) or not leads_with_batch(batch):
            return None
        if batch.meta["shape"] != node.meta["shape"] or dimensions >= len(batch.meta["shape"]):
            return None
        return Rewrite(operator, dimensions, place)

    def stays_small(self, node: torch.fx.Node, name: str, own: list[torch.fx.Node]) -> bool:
        """Whether a call works on every element alone, so that rows of datasets stay rows."""
        if node.meta.get("writes") or "shape" not in node.meta:
            return False
        others = [source for source in node.all_input_nodes if source not in self.own]
        alike = all(source.meta["shape"] == node.meta["shape"] for source in own)
        short = name.rpartition(".")[2].strip("_")
        return not others and alike and (short in ELEMENTWISE or name in WITH_NUMBER)
