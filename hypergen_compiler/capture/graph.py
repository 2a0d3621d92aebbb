"""A merged tape to a torch.fx graph that holds what the model computes and nothing else.

Every node of kind `call_function` carries in `meta`: `call` (what was recorded), `scope`, `written`, `grad`, `random`,
`writes` (storages), `neutral` where the call gives its first argument again, and every node that is a tensor `shape`,
`dtype` and `storage`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
import torch.fx

from hypergen_compiler.capture.forms import Form, changes_nothing, functional
from hypergen_compiler.capture.tape import Call, Ref, Scope, Tape, fill, references
from hypergen_compiler.program import Input, project

__all__ = ["build_graph"]


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
        form = functional(call) if self.writes_fresh(call) else None
        if form is not None:
            node = self.create(call, form, frozenset())
            self.renewed[self.tape.storages[call.out]] = ("fresh", node)
            self.hold(call.out, node, storage=("fresh", node))
            return
        writes = frozenset(self.renewed.get(storage, storage) for storage in call.writes)
        node = self.create(call, Form(call.function, call.name, self.shortened(call), call.kwargs), writes)
        node.meta["neutral"] = changes_nothing(self.tape, call, self.written)
        for path, ref in outputs(call.out):
            if ref in self.nodes or ref in used:
                continue
            if path:
                part = self.graph.call_function(project, (node, *path))
                part.meta.update(call=call, path=path)
                self.hold(ref, part)
            else:
                self.hold(ref, node)

    def writes_fresh(self, call: Call) -> bool:
        """Whether a call does nothing but write into a tensor that another call made and that has no other name."""
        ref = call.out
        if not isinstance(ref, Ref) or ref.kind != "value" or ref not in self.nodes or call.mode:
            return False
        if self.holders[self.tape.storages[ref]] != 1 or call.writes != {self.tape.storages[ref]}:
            return False
        # An in-place operation keeps its type where the functional one would promote.
        used = references((call.args, call.kwargs))
        return all(self.tape.dtypes[other] == self.tape.dtypes[ref] for other in used)

    def create(self, call: Call, form: Form, writes: frozenset[Any]) -> torch.fx.Node:
        args, kwargs = fill(form.args, self.node), fill(form.kwargs, self.node)
        node = self.graph.create_node("call_function", form.function, args, kwargs)
        node.meta.update(call=call, name=form.name, grad=call.grad, random=call.random, writes=writes, mode=call.mode)
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

    def name_scopes(self) -> None:
        """Turns the tensors that scopes mention into nodes."""
        for scope in self.scopes.values():
            scope.arguments = self.renamed(scope.arguments)
            scope.keys = self.renamed(scope.keys)
            scope.outline = [tuple(self.held(ref)) for ref in scope.outline]
            scope.returned = [node for ref in scope.returned for node in self.history.get(ref, ())]

    def renamed(self, names: dict[Any, str]) -> dict[Any, str]:
        result: dict[Any, str] = {}
        for ref, name in names.items():
            for node in self.history.get(ref, ()):
                result.setdefault(node, name)
        for ref, name in names.items():
            for node in self.held(ref):
                result.setdefault(node, name)
        return result

    def held(self, ref: Any) -> list[torch.fx.Node]:
        """All nodes that ever held a tensor, and those that it is a mere copy of."""
        found = list(self.history.get(ref, ()))
        for node in found:
            if node.meta.get("neutral") and isinstance(node.args[0], torch.fx.Node):
                found.append(node.args[0])
        return found


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
