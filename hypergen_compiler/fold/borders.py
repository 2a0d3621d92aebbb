"""A region's body, its base in the module tree, and what crosses its border, from dataflow alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch.fx

from hypergen_compiler.capture.graph import nodes_in
from hypergen_compiler.capture.steps import Iteration
from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.items import Call, Operation, Region
from hypergen_compiler.fold.leaves import Const, Constant, Leaf, Part, Weight, is_const, walk
from hypergen_compiler.program import Affine, Extent, project

__all__ = ["assign_bases", "close_border", "describe_body", "is_within", "relative_steps"]

REAL_ARITHMETIC = frozenset({"Tensor.add", "Tensor.sub", "Tensor.mul", "Tensor.div"})


def describe_body(region: Region, records: dict[str, Records]) -> None:
    """Fills `body`: recorded calls as operations, inner functions as calls, other inner regions in place."""

    def add(inner: Region) -> None:
        for item in inner.items:
            if isinstance(item, Region):
                if item.is_function:
                    region.body.append(make_call(item))
                else:
                    add(item)
            else:
                region.body.append(make_operation(item))

    add(region)
    modes = {item.grad for item in region.body}
    region.grad = modes.pop() if len(modes) == 1 else True


def make_operation(node: torch.fx.Node) -> Operation:
    leaves: list[Leaf] = []
    pattern = walk((node.args, node.kwargs), leaves.append)
    if node.meta["name"] in REAL_ARITHMETIC and node.meta["dtype"].is_floating_point:
        leaves = [Const(leaf.value, real=True) if isinstance(leaf, Const) else leaf for leaf in leaves]
    parts = sorted((user for user in node.users if user.target is project), key=lambda user: repr(user.args[1:]))
    returns_itself = "shape" in node.meta
    outs = [node] if returns_itself else parts
    shape = "tensor" if returns_itself else tuple(user.args[1:] for user in parts)
    key = (node.meta.get("rewrite", node.meta["name"]), pattern, shape, node.meta["mode"])
    return Operation(node, leaves, outs, key)


def make_call(region: Region) -> Call:
    function = region.function
    leaves: list[Leaf] = [Part(space, region.bases[space]) for space in function.spaces]
    leaves += region.arguments
    leaves += [region.body[i].leaves[j] for (i, j), *_ in function.parameters]
    if function.takes_batch:
        leaves.append(Const(Affine(1)))
    if function.takes_size:
        leaves.append(Const(Extent((((0, 1), Fraction(1)),))))
    kinds = tuple("number" if is_const(leaf) else type(leaf).__name__ for leaf in leaves)
    modes = {item.mode for item in region.body}
    return Call(
        region,
        function,
        leaves,
        list(region.results),
        ("call", id(function), len(region.results), kinds),
        random=any(item.random for item in region.body),
        writes=frozenset().union(*(item.writes for item in region.body)),
        mode=modes.pop() if len(modes) == 1 else None,
        iteration=outer_iteration(region),
    )


def outer_iteration(region: Region) -> Iteration | None:
    """The repetition that a call stands in, which is not one that runs inside of it."""
    found = [node.meta["call"].iteration for node in region.nodes()]
    repetitions = {id(iteration.repetition) for iteration in found if iteration is not None}
    if None in found or len(repetitions) > 1 or len({iteration.number for iteration in found}) > 1:
        return None
    return found[0]


def assign_bases(region: Region, records: dict[str, Records]) -> None:
    """The module whose record the function takes: its own, or for a plain function what its weights have in common."""
    path = region.scope.path if region.scope is not None else ""
    for space, tree in records.items():
        used = [leaf for item in region.body for leaf in item.leaves if isinstance(leaf, Weight | Part)]
        paths = [leaf[1] if isinstance(leaf, Part) else leaf[1].rpartition(".")[0] for leaf in used if leaf[0] == space]
        own = common(paths) if path is None else path
        region.bases[space] = tree.base(own)


def common(paths: list[str]) -> str:
    """The longest dotted prefix that all paths share."""
    if not paths:
        return ""
    columns = list(zip(*(path.split(".") for path in paths), strict=False))
    shared = []
    for column in columns:
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared)


def is_within(leaf: Leaf, region: Region, records: dict[str, Records]) -> bool:
    """Whether a weight or record can be reached from the records that the function takes."""
    if not isinstance(leaf, Weight | Part):
        return False
    steps, base = leaf_steps(leaf, records), records[leaf[0]].nodes[region.bases[leaf[0]]][0]
    return steps[: len(base)] == base


def leaf_steps(leaf: Weight | Part, records: dict[str, Records]) -> tuple[Any, ...]:
    tree = records[leaf[0]]
    return tree.nodes[leaf[1]][0] if isinstance(leaf, Part) else tree.steps[leaf[1]]


def relative_steps(leaf: Weight | Part, region: Region, records: dict[str, Records]) -> tuple[Any, ...]:
    """The steps from the function's own record to a weight or to an inner record."""
    base = records[leaf[0]].nodes[region.bases[leaf[0]]][0]
    return leaf_steps(leaf, records)[len(base) :]


def close_border(region: Region, users: dict[Any, list[Any]], records: dict[str, Records]) -> None:
    """Arguments are leaves from outside, results are tensors that something outside reads."""
    own = set(region.nodes())
    made = [out for item in region.body for out in item.outs]
    outside = [out for out in made if any(user not in own for user in users[out])]
    if region.is_entry:
        region.results = nodes_in(region.entry.output)
    else:
        first = [node for node in dict.fromkeys(region.scope.returned) if node in outside]
        region.results = first + [out for out in outside if out not in first]
    inside = set(made)
    arguments: list[Leaf] = []
    for item in region.body:
        for leaf in item.leaves:
            if isinstance(leaf, Const | Constant) or leaf in inside or leaf in arguments:
                continue
            if not is_within(leaf, region, records):
                arguments.append(leaf)
    if region.is_entry:
        region.arguments = [node for node in region.entry.graph.nodes if node.op == "placeholder"]
        return
    named = [node for node in region.scope.arguments if node in arguments]
    region.arguments = named + [leaf for leaf in arguments if leaf not in named]
