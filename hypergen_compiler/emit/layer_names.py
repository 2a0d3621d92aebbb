"""What the user calls the layers that make values, for values that have no names of their own."""

from __future__ import annotations

from hypergen_compiler.capture.tape import Scope
from hypergen_compiler.emit.origins import is_own, own_scope
from hypergen_compiler.emit.records import one_of
from hypergen_compiler.fold.items import Call, Item, Region

__all__ = ["called_by", "is_layer", "layer_name"]

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
# Variables that hold a module and whose names tell nothing of what it makes.
OF_FUNCTIONS = frozenset("fn func function layer module net op".split())


def attribute(path: str | None) -> str | None:
    """What a module's owner calls it; for one of a list, `block` of `blocks`."""
    parts = (path or "").split(".")
    name = next((part for part in reversed(parts) if part and not part.isdigit()), None)
    return one_of(name) if name is not None and name != parts[-1] else name


def is_layer(region: Region, item: Item) -> bool:
    """Whether an item is the run of a module, so that its name is the user's."""
    return called_name(region, item) is not None


def called_by(item: Item) -> str | None:
    """The variable by which the user calls the module that an item is a run of."""
    return item.region.scope.callee if isinstance(item, Call) else item.node.meta["call"].callee


def called_name(region: Region, item: Item) -> str | None:
    """What the user calls the module that an item is a run of: the variable that he calls, or its owner's attribute."""
    if isinstance(item, Call):
        scope = running_module(region, item.region.scope)
        variable, path = scope.callee, scope.path
    else:
        variable, path = item.node.meta["call"].callee, item.node.meta["layer"]
    return variable if variable is not None and tells_what(variable) else attribute(path)


def tells_what(variable: str) -> bool:
    """Whether the name of a variable that holds a module is a name for what it makes."""
    return len(variable) > 1 and variable not in OF_FUNCTIONS


def running_module(region: Region, scope: Scope) -> Scope:
    """For a method of what is no module, the module that calls it in this function, as attention calls a processor."""
    owner = scope.parent if scope.path is None and scope.owner is not None else None
    called = owner is not None and owner.path is not None and owner is not own_scope(region) and is_own(owner, region)
    return owner if called else scope


def layer_name(region: Region, item: Item) -> str:
    """A name for a value that the user gave none: after the layer, or the operator."""
    named = called_name(region, item)
    if named is not None:
        return named
    if isinstance(item, Call):
        name = item.function.name
        words = [word for word in name.split("_") if word.isalpha()]
        return name if len(name) < 14 or not words else words[-1]
    name = item.node.meta["name"].split(".")
    short = name[-2] if name[-1] in ("__get__", "__set__") else name[-1]
    short = short.strip("_")
    return GENERIC.get(short, short)
