"""What the user called a value."""

from __future__ import annotations

from typing import Any

import torch.fx

from hypergen_compiler.fold.items import Call, Item, Operation, Region
from hypergen_compiler.program import project

__all__ = ["layer_name", "written_name"]

GENERIC = {
    "getitem": "part",
    "linear": "h",
    "add": "total",
    "mul": "product",
    "truediv": "ratio",
    "div": "ratio",
    "sub": "difference",
    "get": "part",
    "pow": "power",
    "matmul": "product",
}


def written_name(region: Region, item: Item, out: torch.fx.Node) -> str | None:
    """The variable that the user's own statement gives to a result, if that statement is in this function."""
    if isinstance(item, Call):
        return outer_name(region, item.region.scope, out, several=len(item.outs) > 1)
    written = item.node.meta["written"]
    every = every_result(item)
    if written is not None and is_own(written.scope, region):
        name = pick(written.names, every if out in every else [out], out)
        if name:
            return name
    return outer_name(region, item.node.meta["scope"], out, several=True)


def outer_name(region: Region, scope: Any, out: torch.fx.Node, *, several: bool) -> str | None:
    """What the callers of the functions that return a value call it, from the innermost outwards."""
    while scope is not None and scope is not region.scope:
        if scope.site is not None and is_own(scope.site.scope, region):
            name = pick(scope.site.names, scope.returned, out) if out in scope.returned else None
            if name:
                return name
        if several and out in scope.keys:
            return scope.keys[out]
        scope = scope.parent
    return None


def every_result(item: Operation) -> list[torch.fx.Node]:
    """All results of a call in order, whether or not anything reads them."""
    if item.outs == [item.node]:
        return item.outs
    parts = {user.args[1]: user for user in item.node.users if user.target is project and len(user.args) == 2}
    return [parts.get(index) for index in range(max(parts) + 1)] if all(isinstance(p, int) for p in parts) else []


def is_own(scope: Any, region: Region) -> bool:
    return region.is_entry or scope.inside(region.scope)


def pick(names: Any, results: list[Any], out: torch.fx.Node) -> str | None:
    """The name of one of several results."""
    if isinstance(names, str):
        return names if len(results) == 1 else None
    if isinstance(names, list) and len(names) == len(results) and out in results:
        name = names[results.index(out)]
        return name if isinstance(name, str) else None
    return None


def attribute(path: str | None) -> str | None:
    """What a module's owner calls it; one of a list has the list's name."""
    return next((part for part in reversed((path or "").split(".")) if part and not part.isdigit()), None)


def layer_name(item: Item) -> str:
    """A name for a value that the user gave none: after the layer, or the operator."""
    if isinstance(item, Call):
        name = item.function.name
        words = [word for word in name.split("_") if word.isalpha()]
        return attribute(item.region.scope.path) or (name if len(name) < 14 or not words else words[-1])
    named = attribute(item.node.meta["layer"])
    if named is not None:
        return named
    name = item.node.meta["name"].split(".")
    short = name[-2] if name[-1] in ("__get__", "__set__") else name[-1]
    short = short.strip("_")
    return GENERIC.get(short, short)
