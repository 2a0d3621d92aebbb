"""What the user called a value."""

from __future__ import annotations

from typing import Any

import torch.fx

from hypergen_compiler.capture.statements import ELEMENT, REST, RETURNED, statements
from hypergen_compiler.capture.tape import Scope, Written
from hypergen_compiler.fold.items import Call, Item, Operation, Region
from hypergen_compiler.program import project

__all__ = [
    "copy_of",
    "element_of",
    "given_name",
    "helper_name",
    "is_own",
    "lines_of",
    "own_scope",
    "written_name",
]


def written_name(region: Region, item: Item, out: torch.fx.Node) -> str | None:
    """The variable that the user's own statement gives to a result, if that statement is in this function.

    Of functions whose bodies stand in this one, what their caller calls a result counts more than what they call it.
    """
    if isinstance(item, Call):
        return outer_name(region, item.region.scope, out, several=len(item.outs) > 1)
    written = item.node.meta["written"]
    own = statement_name(region, item, out)
    if written is not None and written.scope is own_scope(region):
        return own
    return outer_name(region, item.node.meta["scope"], out, several=True) or (None if is_helped(region, item) else own)


def given_name(out: torch.fx.Node) -> str | None:
    """What the user's own statement calls a call's only result, wherever that statement is."""
    written = out.meta.get("written")
    return written.names if written is not None and is_variable(written.names) else None


def is_variable(names: Any) -> bool:
    return isinstance(names, str) and names not in (REST, RETURNED, ELEMENT)


def helper_name(region: Region, item: Item, out: torch.fx.Node) -> str | None:
    """The variable of a plain function whose body stands in this one."""
    return statement_name(region, item, out) if isinstance(item, Operation) and is_helped(region, item) else None


def is_helped(region: Region, item: Operation) -> bool:
    """Whether the statement that receives a result is one of a plain function that is called from this one."""
    written = item.node.meta["written"]
    return written is not None and is_helper(region, written.scope)


def is_helper(region: Region, scope: Scope) -> bool:
    """Whether a scope is that of a plain function called from this one, or of an object that such a function uses."""
    own = own_scope(region)
    if own is None or not scope.inside(own):
        return False
    while scope is not own and scope.path is None:
        if scope.owner is None:
            return True
        scope = scope.parent
    return False


def own_scope(region: Region) -> Scope | None:
    return region.inner if region.is_entry else region.scope


def statement_name(region: Region, item: Operation, out: torch.fx.Node) -> str | None:
    written, every = item.node.meta["written"], every_result(item)
    if written is None or not is_own(written.scope, region):
        return None
    return pick(written, [(result,) for result in (every if out in every else [out])], out)


def outer_name(region: Region, scope: Any, out: torch.fx.Node, *, several: bool) -> str | None:
    """What the callers of the functions that return a value call it; the outermost of them that names it decides."""
    found = None
    while scope is not None and scope is not region.scope:
        site = scope.site
        if site is not None and is_own(site.scope, region) and not is_helper(region, site.scope):
            name = pick(site, scope.outline, out)
            found = name or found
        if found is None and several and out in scope.keys:
            found = scope.keys[out]
        scope = scope.parent
    return found


def every_result(item: Operation) -> list[torch.fx.Node]:
    """All results of a call in order, whether or not anything reads them."""
    if item.outs == [item.node]:
        return item.outs
    parts = {user.args[1]: user for user in item.node.users if user.target is project and len(user.args) == 2}
    return [parts.get(index) for index in range(max(parts) + 1)] if all(isinstance(p, int) for p in parts) else []


def is_own(scope: Any, region: Region) -> bool:
    return region.is_entry or scope.inside(region.scope)


def pick(written: Written, results: list[tuple[Any, ...]], out: torch.fx.Node) -> str | None:
    """The name of one of several results, or of the only one, which may be one of several that a statement takes."""
    names, found = written.names, next((k for k, nodes in enumerate(results) if out in nodes), None)
    if isinstance(names, str):
        return names if len(results) == 1 and found == 0 else None
    if not isinstance(names, list) or found is None:
        return None
    alone = len(results) == 1 and written.turn is not None
    place = written.turn if alone else found
    is_complete = alone or len(names) == len(results) or (names[-1] == REST and len(names) <= len(results) + 1)
    name = names[place] if is_complete and place < len(names) else None
    return name if isinstance(name, str) and name not in (REST, "_") else None


def copy_of(region: Region, name: str) -> str | None:
    """The second name that the user's function gives to a variable: `residual = hidden_states`."""
    code = code_of(region)
    return statements(code).copied.get(name) if code is not None else None


def element_of(region: Region, listed: str) -> str | None:
    """What the user's function calls the elements of a list in a loop."""
    code = code_of(region)
    return statements(code).elements.get(listed) if code is not None else None


def code_of(region: Region) -> Any:
    scope = own_scope(region)
    return scope.code if scope is not None else None


def lines_of(region: Region, item: Item) -> list[str]:
    """Where in the user's files an item comes from: its own line, and those that call the functions in between."""
    own = own_scope(region)
    if isinstance(item, Call):
        scope, lines = item.region.scope, []
    else:
        scope, lines = item.node.meta["scope"], [item.node.meta["where"]]
    while scope is not None and scope is not own:
        lines.append(scope.called)
        scope = scope.parent
    return [line for line in lines if line is not None]
