"""What a function's arguments are called at any place in it, and the expressions for their sizes."""

from __future__ import annotations

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.ops import Expression

__all__ = ["Arguments"]


class Arguments:
    """`rebound` maps names of arguments to where another value gets them, `sizes` what is read before that to names."""

    def __init__(self, flow: Flow, names: Locals):
        self.flow, self.locals = flow, names
        self.rebound: dict[str, int] = {}
        for node, name in names.names.items():
            if node in flow.definitions and name in names.arguments:
                position = flow.root[flow.definitions[node]]
                self.rebound[name] = min(position, self.rebound.get(name, position))
        self.sizes: dict[tuple[int, int], str] = {}

    def name(self, place: int) -> str:
        return self.locals.names[self.flow.region.arguments[place]]

    def own_name(self, place: int) -> str:
        """What an argument is called in the signature."""
        return (
            self.locals.arguments[place]
            if self.flow.region.arguments[place] in self.locals.copied
            else self.name(place)
        )

    def is_before(self, position: int, statement: int) -> bool:
        """Whether what stands at `position` is evaluated before a statement gives its name to a value."""
        loop = self.flow.loop_at.get(statement)
        carried_in = any(loop is not None and place[0] == "carried" for place in (loop.places.values() if loop else ()))
        if loop is not None and (carried_in or self.flow.loop_at.get(position) is loop):
            return self.flow.root[position] < loop.start
        return self.flow.root[position] <= statement

    def size(self, position: int, place: int, dimension: int) -> Expression:
        """The size of an argument; one whose name is given to another value before `position` is read at the top."""
        name = self.name(place)
        if name not in self.rebound or self.is_before(position, self.rebound[name]):
            return Expression(f"{name}.shape[{dimension}]")
        if (place, dimension) not in self.sizes:
            self.sizes[place, dimension] = self.locals.claim(f"{name}_size", [(-1, AFTER + 1)])
        return Expression(self.sizes[place, dimension])
