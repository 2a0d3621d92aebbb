"""Names for what has none in the model: elements of lists, results of functions, numbers that become arguments."""

from __future__ import annotations

from typing import Any

from hypergen_compiler.emit.records import one_of
from hypergen_compiler.fold import Call, Operation
from hypergen_compiler.fold.leaves import count_leaves, is_number
from hypergen_compiler.ops.signatures import signature

__all__ = ["element_name", "inner_name", "parameter_name"]


def inner_name(item: Any, out: Any) -> str | None:
    """What a called function itself calls one of its results."""
    if not isinstance(item, Call):
        return None
    return item.function.model.results[item.outs.index(out)].meta.get("hint")


def element_name(listed: str) -> str:
    """One of `blocks` is a `block`; of `h`, a `layer`."""
    if len(listed) < 3:
        return "layer"
    return one_of(listed) if one_of(listed) != listed else f"{listed}_part"


def parameter_name(item: Any, leaf: int) -> str:
    """What the torch function calls the argument that a leaf fills."""
    if isinstance(item, Call):
        offset = len(item.function.spaces) + len(item.region.arguments)
        names = list(dict.fromkeys(item.function.number_names))
        return names[leaf - offset] if 0 <= leaf - offset < len(names) else "size"
    return operation_parameter(item, leaf)


def operation_parameter(item: Operation, leaf: int) -> str:
    named = operand_name(item, leaf)
    if named is not None:
        return named
    known = list(signature(item.node.meta["name"], item.node.target) or ())
    if item.node.meta["name"].startswith("Tensor.") and known[:1] and known[0][0] != "self":
        known.insert(0, ("self", None))
    count = 0
    for position, argument in enumerate(item.node.args):
        count += count_leaves(argument)
        if leaf < count:
            fits = position < len(known) and len(known) >= len(item.node.args)
            return known[position][0] if fits and known[position][0] != "self" else "size"
    for name, argument in item.node.kwargs.items():
        count += count_leaves(argument)
        if leaf < count:
            return name
    return "size"


def operand_name(item: Operation, leaf: int) -> str | None:
    """What the user calls the number that is an argument of an operation: `scale` for `x * self.scale`."""
    call, count = item.node.meta["call"], 0
    places = list(enumerate(item.node.args)) + list(item.node.kwargs.items())
    for place, argument in places:
        count += count_leaves(argument)
        if leaf < count:
            if not is_number(argument):
                return None
            if call.reflected or item.node.meta["name"].startswith("Tensor.__r"):
                place = 1 - place
            return call.operands.get(place)
    return None
