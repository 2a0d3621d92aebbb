"""Recorded graphs: every value is made before it is read, and everything that is read is known to the program."""

from __future__ import annotations

from collections.abc import Iterator

import torch.fx

from hypergen_compiler.capture.graph import nodes_in
from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.program import Entry, Extent, Program, project

__all__ = ["check_graphs"]

OF_A_CALL = ("name", "grad", "random", "writes", "mode", "call", "scope")
OF_A_TENSOR = ("shape", "dtype", "storage")


def check_graphs(program: Program) -> list[Violation]:
    """Every graph of a program, and what the program says of its entries, parameters and buffers."""
    found = [violation for entry in program.entries for violation in check_entry(program, entry)]
    names = [entry.name for entry in program.entries]
    for kind in ("loss", "sample", "critic"):
        name = getattr(program, kind)
        if name is not None and names.count(name) != 1:
            found.append(Violation(f"the {kind} {name!r} is {names.count(name)} of the entry points {names}"))
    reads = {
        node.target
        for entry in program.entries
        for graph in entry.graphs
        for node in graph.nodes
        if node.op == "get_attr" and node.meta.get("kind") == "parameter"
    }
    for parameter in program.parameters:
        if parameter.read != bool(reads & {parameter.name, *parameter.aliases}):
            found.append(Violation(f"parameter {parameter.name!r} is {'not ' if parameter.read else ''}read after all"))
        if parameter.trained and not parameter.read:
            found.append(Violation(f"parameter {parameter.name!r} would be trained, and no entry point reads it"))
    return found


def check_entry(program: Program, entry: Entry) -> Iterator[Violation]:
    yield from check_order(entry)
    yield from check_inputs(entry)
    for node in entry.graph.nodes:
        if node.op == "get_attr":
            yield from check_read(program, node, entry)
        elif node.op == "call_function":
            yield from check_call(node, entry)
    shapes = [node.meta.get("shape") for node in nodes_in(entry.output)]
    usual = [None if shape is None else tuple(map(size_in_example, shape)) for shape in shapes]
    if usual != list(entry.shapes):
        yield Violation(f"{entry.name} is said to return {list(entry.shapes)}, and returns {usual}", entry.origin)
    if entry.evaluation is not None:
        yield from check_entry(program, entry.evaluation)


def size_in_example(size: object) -> object:
    return size.usual if isinstance(size, Extent) else size


def check_order(entry: Entry) -> Iterator[Violation]:
    """Definitions before uses, and one output, at the end, of what the entry point returns."""
    defined: set[torch.fx.Node] = set()
    outputs = [node for node in entry.graph.nodes if node.op == "output"]
    for node in entry.graph.nodes:
        for source in node.all_input_nodes:
            if source not in defined:
                yield Violation(f"{entry.name} reads {source.name} before it is made, in {node.name}", place(node))
        defined.add(node)
    if len(outputs) != 1 or node is not outputs[0]:
        yield Violation(f"the graph of {entry.name} has {len(outputs)} outputs", entry.origin)
    elif set(outputs[0].all_input_nodes) != set(nodes_in(entry.output)):
        yield Violation(f"{entry.name} does not return what its graph computes", entry.origin)


def check_inputs(entry: Entry) -> Iterator[Violation]:
    inputs = [node.meta.get("input") for node in entry.graph.nodes if node.op == "placeholder"]
    if inputs and [item.name for item in inputs] != [item.name for item in entry.inputs]:
        yield Violation(f"{entry.name} takes {[i.name for i in entry.inputs]}, its graph {[i.name for i in inputs]}")


def check_read(program: Program, node: torch.fx.Node, entry: Entry) -> Iterator[Violation]:
    """A weight, buffer or constant is one of the program's, of its shape and type."""
    kind = node.meta.get("kind")
    if kind == "constant":
        values = program.constants
    else:
        known = program.parameters if kind == "parameter" else program.buffers if kind == "buffer" else ()
        values = {name: item.value for item in known for name in (item.name, *item.aliases)}
    if node.target not in values:
        yield Violation(f"{entry.name} reads {node.target!r}, which is no {kind} of the program", entry.origin)
        return
    value = values[node.target]
    if tuple(value.shape) != tuple(node.meta["shape"]) or value.dtype != node.meta["dtype"]:
        recorded = f"{node.meta['dtype']} {list(node.meta['shape'])}"
        yield Violation(f"{node.target!r} is {value.dtype} {list(value.shape)}, and was recorded as {recorded}")


def check_call(node: torch.fx.Node, entry: Entry) -> Iterator[Violation]:
    """A call knows what it does; what it writes into is something that it is given."""
    wanted = OF_A_TENSOR if node.target is project else OF_A_CALL
    missing = [key for key in wanted if key not in node.meta]
    if missing:
        yield Violation(f"{node.name} of {entry.name} lacks {', '.join(missing)}", place(node))
    given = {source.meta.get("storage") for source in node.all_input_nodes}
    if not node.meta.get("writes", frozenset()) <= given:
        yield Violation(f"{node.name} of {entry.name} writes into what it is not given", place(node))


def place(node: torch.fx.Node) -> str | None:
    return node.meta.get("where")
