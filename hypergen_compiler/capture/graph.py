"""A merged tape to a torch.fx graph that holds what the model computes and nothing else.

Every node of kind `call_function` carries in `meta`: `call` (what was recorded), `scope`, `written`, `grad`, `random`,
`writes` (storages), `neutral` where the call gives its first argument again, and every node that is a tensor `shape`,
`dtype` and `storage`.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.fx

from hypergen_compiler.capture.tape import Call, Ref, Scope, Tape, fill, references
from hypergen_compiler.program import Input, project

__all__ = ["build_graph"]

KEPT_IN_PLACE = frozenset(
    "requires_grad_ normal_ uniform_ fill_ zero_ copy_ exponential_ random_ bernoulli_ geometric_ set_ resize_ "
    "retain_grad_ detach_ share_memory_".split()
)


def build_graph(tape: Tape, inputs: tuple[Input, ...]) -> tuple[torch.fx.Graph, Any]:
    """The graph, and the tape's returned structure with nodes in the place of tensors.

    Calls that return their own input unchanged vanish; writes into fresh tensors that nothing else sees become new
    values; what no output, buffer or input depends on is left out, but for random draws, which move the generator.
    """
    builder = Builder(tape, inputs)
    for call in tape.calls:
        builder.add(call)
    output = fill(tape.out, builder.node)
    builder.name_scopes()
    live = [node for node in nodes_in(output)]
    builder.graph.output(tuple(live))
    remove_dead(builder.graph)
    return builder.graph, output


class Builder:
    """`nodes` maps a tensor of the tape to the node that holds it now, `history` to all that ever did."""

    def __init__(self, tape: Tape, inputs: tuple[Input, ...]):
        self.tape, self.graph = tape, torch.fx.Graph()
        self.nodes: dict[Ref, torch.fx.Node] = {}
        self.history: dict[Ref, list[torch.fx.Node]] = {}
        self.holders = Counter(tape.storages.values())
        self.renewed: dict[Any, Any] = {}  # the storage of a tensor whose last write became a new value
        self.scopes: dict[int, Scope] = {}
        self.written = frozenset().union(*(call.writes for call in tape.calls))
        self.readings = Counter(ref for call in tape.calls for ref in references((call.args, call.kwargs)))
        self.readings.update(references(tape.out))
        number = 0
        for item in inputs:
            node = self.graph.placeholder(item.name)
            node.meta["input"] = item
            if item.is_tensor:
                self.hold(Ref("input", number), node)
                number += 1

    def hold(self, ref: Ref, node: torch.fx.Node, storage: Any = None) -> torch.fx.Node:
        node.meta["shape"], node.meta["dtype"] = self.tape.shapes[ref], self.tape.dtypes[ref]
        node.meta["storage"] = self.tape.storages[ref] if storage is None else storage
        node.meta["kind"] = ref.kind
        self.nodes[ref] = node
        self.history.setdefault(ref, []).append(node)
        return node

    def node(self, ref: Any) -> Any:
        if not isinstance(ref, Ref):
            return ref
        if ref not in self.nodes:
            anchor = next(iter(self.graph.nodes), None)
            with self.graph.inserting_before(anchor) if anchor else self.graph.inserting_after():
                target = ref.key if isinstance(ref.key, str) else f"constant_{ref.key}"
                self.hold(ref, self.graph.create_node("get_attr", target))
        return self.nodes[ref]

    def add(self, call: Call) -> None:
        made = list(references(call.out))
        used = set(references((call.args, call.kwargs)))
        if made and not call.writes and not call.random and all(ref in used for ref in made):
            return
        pure = self.pure(call, made)
        if pure is not None:
            ref, (function, name, args, kwargs) = made[0], pure
            node = self.create(call, function, name, args, kwargs, frozenset())
            self.renewed[self.tape.storages[ref]] = ("fresh", node)
            self.hold(ref, node, storage=("fresh", node))
            return
        writes = frozenset(self.renewed.get(storage, storage) for storage in call.writes)
        node = self.create(call, call.function, call.name, self.shortened(call), call.kwargs, writes)
        node.meta["neutral"] = len(made) == 1 and call.out == made[0] and self.changes_nothing(call, made[0])
        for path, ref in outputs(call.out):
            if ref in self.nodes or ref in used:
                continue
            if path:
                part = self.graph.call_function(project, (node, *path))
                part.meta.update(call=call, path=path)
                self.hold(ref, part)
            else:
                self.hold(ref, node)

    def create(
        self, call: Call, function: Callable[..., Any], name: str, args: Any, kwargs: Any, writes: frozenset[Any]
    ) -> torch.fx.Node:
        node = self.graph.create_node("call_function", function, fill(args, self.node), fill(kwargs, self.node))
        node.meta.update(call=call, name=name, grad=call.grad, random=call.random, writes=writes, mode=call.mode)
        node.meta.update(scope=call.scope, written=call.written, layer=call.layer, where=call.where)
        scope = call.scope
        while scope is not None and id(scope) not in self.scopes:
            self.scopes[id(scope)] = scope
            scope = scope.parent
        return node

    def shortened(self, call: Call) -> tuple[Any, ...]:
        """The arguments of a call; a reshape of what only it reads, itself a reshape, takes what that was made from."""
        source = call.args[0] if call.args else None
        inner = self.nodes.get(source) if isinstance(source, Ref) else None
        if (
            call.name != "Tensor.reshape"
            or inner is None
            or inner.meta.get("name") not in ("Tensor.reshape", "Tensor.view")
        ):
            return call.args
        storages = {self.tape.storages[source], inner.args[0].meta["storage"]}
        storages |= {old for old, new in self.renewed.items() if new in storages}
        scopes = (call.scope, inner.meta["scope"])
        beside = scopes[0] is scopes[1] or (None not in scopes and scopes[0].is_beside(scopes[1]))
        alone = (
            beside and self.readings[source] == 1 and inner.meta["grad"] == call.grad and not storages & self.written
        )
        return (inner.args[0], *call.args[1:]) if alone else call.args

    def changes_nothing(self, call: Call, made: Ref) -> bool:
        """Whether a call gives its own argument again: multiplied by 1, in the same shape, in the same order."""
        source = call.args[0] if call.args else None
        if not isinstance(source, Ref) or source.kind not in ("value", "input") or made.kind != "value" or call.kwargs:
            return False
        kept = self.tape.shapes[source] == self.tape.shapes[made] and self.tape.dtypes[source] == self.tape.dtypes[made]
        storages = {self.tape.storages[source], self.tape.storages[made]}
        if not kept or not call.grad or call.writes or call.random or storages & self.written:
            return False
        short, others = call.name.removeprefix("Tensor.").strip("_"), call.args[1:]
        if short in ("mul", "div", "truediv", "pow"):
            return source.kind == "value" and len(others) == 1 and type(others[0]) in (int, float) and others[0] == 1
        if short == "permute":
            order = others[0] if len(others) == 1 else others
            return list(order) == list(range(len(self.tape.shapes[source])))
        return short in ("reshape", "view", "expand") and not any(isinstance(o, torch.dtype) for o in others)

    def pure(self, call: Call, made: list[Ref]) -> tuple[Any, ...] | None:
        """The functional form of a write into a fresh tensor that has no other name, or None."""
        if len(made) != 1 or call.out != made[0] or call.mode:
            return None
        ref = made[0]
        storage = self.tape.storages[ref]
        if ref.kind != "value" or ref not in self.nodes or self.holders[storage] != 1 or call.writes != {storage}:
            return None
        if any(self.tape.dtypes[other] != self.tape.dtypes[ref] for other in references((call.args, call.kwargs))):
            return None  # an in-place operation keeps its type where the functional one would promote
        without = without_inplace(call)
        if without is not None:
            return (call.function, call.name, *without)
        short = call.name.rpartition(".")[2]
        if not call.name.startswith("Tensor.") or short in KEPT_IN_PLACE:
            return None
        plain = f"__{short[3:]}" if short.startswith("__i") else short[:-1]
        if not short.startswith("__i") and (not short.endswith("_") or short.endswith("__")):
            return None
        function = getattr(torch.Tensor, plain, None)
        return None if function is None else (function, f"Tensor.{plain}", call.args, call.kwargs)

    def name_scopes(self) -> None:
        """Turns the tensors that scopes mention into nodes."""
        for scope in self.scopes.values():
            scope.arguments = self.renamed(scope.arguments)
            scope.keys = self.renamed(scope.keys)
            scope.outline = [tuple(self.history.get(ref, ())) for ref in scope.outline]
            scope.returned = [node for ref in scope.returned for node in self.history.get(ref, ())]

    def renamed(self, names: dict[Any, str]) -> dict[Any, str]:
        result: dict[Any, str] = {}
        for ref, name in names.items():
            for node in self.history.get(ref, ()):
                result.setdefault(node, name)
        return result


def without_inplace(call: Call) -> tuple[Any, Any] | None:
    """Arguments of an `inplace=True` call with the flag left out, or None."""
    if call.kwargs.get("inplace") is True:
        return call.args, {key: value for key, value in call.kwargs.items() if key != "inplace"}
    try:
        names = list(inspect.signature(call.function).parameters)
    except (TypeError, ValueError):
        return None
    if "inplace" in names and len(call.args) > names.index("inplace") and call.args[names.index("inplace")] is True:
        position = names.index("inplace")
        return (*call.args[:position], False, *call.args[position + 1 :]), call.kwargs
    return None


def outputs(structure: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Ref]]:
    """Every tensor of a call's result with the indices that lead to it."""
    if isinstance(structure, Ref):
        return [(path, structure)]
    if isinstance(structure, dict):
        return [found for key, item in structure.items() for found in outputs(item, (*path, key))]
    if isinstance(structure, tuple | list):
        return [found for index, item in enumerate(structure) for found in outputs(item, (*path, index))]
    return []


def nodes_in(structure: Any) -> list[torch.fx.Node]:
    """Every tensor of a returned structure, in order."""
    found: list[torch.fx.Node] = []
    fill(structure, lambda item: found.append(item) if isinstance(item, torch.fx.Node) else None)
    return found


def remove_dead(graph: torch.fx.Graph) -> None:
    """Erases calls that nothing depends on, following writes through the storages that are read later."""
    live = {node.meta["storage"] for node in graph.nodes if node.meta.get("kind") in ("input", "parameter", "buffer")}
    for node in graph.find_nodes(op="output"):
        live |= {item.meta["storage"] for item in node.all_input_nodes}
    for node in reversed(list(graph.nodes)):
        if node.op != "call_function":
            if node.op == "get_attr" and not node.users:
                graph.erase_node(node)
            continue
        if node.users or node.meta.get("random") or node.meta.get("writes", frozenset()) & live:
            live |= {item.meta["storage"] for item in node.all_input_nodes if "storage" in item.meta}
        else:
            graph.erase_node(node)
