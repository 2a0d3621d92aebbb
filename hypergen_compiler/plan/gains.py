"""Which matrices and kernels can have a gain per output channel that differs between the datasets of one pass.

`F.linear(x, W * (1 + g), b)` is `F.linear(x, W) * (1 + g) + b`, and `g` may have a row for each item, without a copy of
W. So it is for every layer that makes each of its output channels from a slice of its own of the matrix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import torch.fx

from hypergen_compiler.capture.recorded_calls import arguments, leads_with_batch
from hypergen_compiler.program import Entry, Program

__all__ = ["find_gains", "gained_calls", "matrices"]

PRODUCTS = {"torch.nn.functional.linear": ("weight", 0), "torch.addmm": ("mat2", 1)}
PRODUCTS |= {f"torch.nn.functional.conv{d}d": ("weight", 0) for d in (1, 2, 3)}
PRODUCTS |= {f"torch.conv{d}d": ("weight", 0) for d in (1, 2, 3)}
PRODUCTS |= {f"torch.nn.functional.conv_transpose{d}d": ("weight", 1) for d in (1, 2, 3)}
PRODUCTS |= {"torch.nn.functional.embedding": ("weight", 1)}
TAKING_ROWS = ("padding_idx", "max_norm", "scale_grad_by_freq", "sparse")  # by these a row's gradient is not its use's


def matrices(program: Program, kept: Collection[str] = ()) -> frozenset[str]:
    """The names of the trained tensors of more than one dimension that are not kept."""
    found = (p for p in program.parameters if p.trained and p.value.ndim > 1 and p.value.numel())
    return frozenset(parameter.name for parameter in found if parameter.name not in kept)


def find_gains(
    entries: Iterable[Entry], wanted: Collection[str], names: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Which dimension counts the output channels of each matrix in `wanted`, and why the others have none.

    `names` are the parameters' names by all that they are called.
    """
    found: dict[str, set[int]] = {name: set() for name in wanted}
    reasons: dict[str, str] = {}
    for node, matrix in (use for entry in entries for graph in entry.graphs for use in uses(graph)):
        name = names.get(matrix.target)
        if name in found:
            dimension = gain_dimension(node, matrix)
            if dimension is None:
                called = node.meta.get("name", "").rpartition(".")[2]
                taken = f"{called} takes it at {node.meta.get('where')}" if called else "an entry point returns it"
                reasons.setdefault(name, taken)
            else:
                found[name].add(dimension)
    for name in sorted(found.keys() - reasons.keys()):
        if len(found[name]) != 1:
            reasons[name] = "what takes it disagrees on its output channels" if found[name] else "nothing takes it"
    return {name: min(found[name]) for name in sorted(found) if name not in reasons}, reasons


def gained_calls(graph: torch.fx.Graph, gains: Mapping[str, int], names: Mapping[str, str]) -> Iterator[torch.fx.Node]:
    """The calls of a graph that take one of the matrices in `gains` as `gains` has it."""
    for node, matrix in uses(graph):
        dimension = gains.get(names.get(matrix.target, ""))
        if dimension is not None and dimension == gain_dimension(node, matrix):
            yield node


def uses(graph: torch.fx.Graph) -> Iterator[tuple[torch.fx.Node, torch.fx.Node]]:
    """Every call, and a graph's end, with each parameter or buffer that it takes."""
    for node in graph.nodes:
        for source in node.all_input_nodes:
            if source.op == "get_attr":
                yield node, source


def gain_dimension(node: torch.fx.Node, matrix: torch.fx.Node) -> int | None:
    """The dimension of `matrix` that counts the output channels of the call `node`; None where that has none, or no
    rows of items."""
    name = node.meta.get("name", "")
    place, dimension = PRODUCTS.get(name, ("", 0))
    given = arguments(node, name)
    if given.get(place) is not matrix or sum(value is matrix for value in given.values()) > 1:
        return None
    if not leads_with_batch(given.get("mat1") if name == "torch.addmm" else given.get("input")):
        return None
    if name == "torch.addmm" and ({"beta", "alpha"} & given.keys() or len(given["input"].meta["shape"]) != 1):
        return None
    if "conv_transpose" in name and given.get("groups", 1) != 1:
        return None
    plain = all(given.get(option) is None or given[option] is False for option in TAKING_ROWS)
    return dimension if plain else None
