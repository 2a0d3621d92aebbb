"""Calls, leaves and numbers of a function's body as expressions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.literals import literal, tensor_literal
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.emit.numbers import number_expression, progression_expression
from hypergen_compiler.emit.records import Records, reach
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.fold import Call, Const, Constant, Weight
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.items import Option
from hypergen_compiler.fold.leaves import is_const, is_number
from hypergen_compiler.fold.parameters import CREATING
from hypergen_compiler.ops import ATOM, Expression, Invocation, parenthesized, print_call
from hypergen_compiler.ops.expression import UNKNOWN, literal_expression
from hypergen_compiler.ops.layers import print_rewritten
from hypergen_compiler.program import Affine, Choice, Curve, Extent, Half, Program

__all__ = ["Expressions"]

DEFAULTS = frozenset({"None", "torch.strided"})  # of what makes tensors


class Expressions:
    """Prints what stands on the right of a statement, given how values flow and what they are called."""

    def __init__(self, program: Program, records: dict[str, Records], flow: Flow, names: Locals, size_name: str):
        self.program, self.records, self.flow, self.locals = program, records, flow, names
        self.function, self.region, self.size_name = flow.function, flow.region, size_name
        self.gathered = {first: loop for loop in flow.loops for first in loop.gathered}
        self.lists = {out: first for loop in flow.loops for first, every in loop.gathered.items() for out in every}
        self.rebound: dict[str, int] = {}
        for node, name in names.names.items():
            if node in flow.definitions and name in names.arguments:
                position = flow.root[flow.definitions[node]]
                self.rebound[name] = min(position, self.rebound.get(name, position))
        self.sizes: dict[tuple[int, int], str] = {}
        self.device = self.find_device()

    def argument_name(self, place: int) -> str:
        return self.locals.names[self.region.arguments[place]]

    def own_name(self, place: int) -> str:
        """What an argument is called in the signature."""
        return (
            self.locals.arguments[place]
            if self.region.arguments[place] in self.locals.copied
            else self.argument_name(place)
        )

    def find_device(self) -> str | None:
        """An expression for the device of what the function works on: of a tensor argument, else of a weight."""
        if self.function.takes_device:
            return "device"
        given = [
            self.locals.names[leaf]
            for leaf in self.region.arguments
            if isinstance(leaf, Weight) or (isinstance(leaf, torch.fx.Node) and "shape" in leaf.meta)
        ]
        for name in given:
            if name not in self.rebound:
                return f"{name}.device"
        for position, item in enumerate(self.flow.body):
            for leaf in item.leaves if self.function.option_at(position) is None else ():
                if isinstance(leaf, Weight) and is_within(leaf, self.region, self.records):
                    return f"{self.tensor(leaf).text}.device"
        rebound = f"{given[0]}.device" if given else None  # to another tensor, on the same device
        return self.device_of_record() or rebound

    def device_of_record(self) -> str | None:
        for space in self.function.spaces:
            tree = self.records[space]
            base = tree.nodes[self.region.bases[space]][0]
            for name, steps in tree.steps.items():
                if steps[: len(base)] == base and not tree.is_optional(name):
                    return f"{reach(space, steps[len(base) :])}.device"
        return None

    def is_before(self, position: int, statement: int) -> bool:
        """Whether what stands at `position` is evaluated before a statement gives its name to a value."""
        loop = self.flow.loop_at.get(statement)
        carried_in = any(loop is not None and place[0] == "carried" for place in (loop.places.values() if loop else ()))
        if loop is not None and (carried_in or self.flow.loop_at.get(position) is loop):
            return self.flow.root[position] < loop.start
        return self.flow.root[position] <= statement

    def expression(self, position: int) -> Expression:
        item = self.flow.body[position]
        leaves = iter([self.leaf(position, number) for number in range(len(item.leaves))])
        if isinstance(item, Call):
            return self.call(item, list(leaves))
        node = item.node
        takes_tensors = any(not is_const(leaf) for leaf in item.leaves)
        where = node.meta["where"]
        with located(where):
            args = [self.argument(argument, leaves) for argument in node.args]
            kwargs = {name: self.argument(argument, leaves) for name, argument in node.kwargs.items()}
        if node.meta["name"] in CREATING:
            kwargs = {name: value for name, value in kwargs.items() if value.text not in DEFAULTS}
        call = Invocation(
            node.meta["name"], node.target, args, kwargs, where, self.device, takes_tensors, node.meta["call"].reflected
        )
        rewrite = node.meta.get("rewrite")
        printed = print_call(call) if rewrite is None else print_rewritten(call, rewrite)
        wanted = [out for out in item.outs if self.flow.uses[out] or out in self.flow.carried]
        if item.outs != [node] and len(wanted) == 1 and wanted[0] in self.flow.inlined:
            return Expression(f"{parenthesized(printed, ATOM)}[{literal(wanted[0].args[1])}]")
        return printed

    def call(self, item: Call, leaves: list[Expression]) -> Expression:
        function = item.function
        arguments = [leaf.text for leaf in leaves]
        while function.defaults and arguments[-1] == "None":
            arguments.pop()
        if function.uses_training:
            arguments.append("training")
        if function.takes_device:
            arguments.append(self.device or "None")
        return Expression(f"{function.name}({', '.join(arguments)})")

    def condition(self, option: Option) -> str:
        """What tells whether the items of an option run: `w.shortcut is not None`."""
        needed = [reach(space, [self.field(space, part)]) for space, part in option.fields]
        needed += [self.argument_name(place) for place in option.arguments]
        return " and ".join(f"{text} is not None" for text in needed)

    def field(self, space: str, part: str) -> str:
        """What the function's own record calls a part of the module."""
        _, record = self.records[space].nodes[self.region.bases[space]]
        return next(item.name for item in record.fields if item.path == part)

    def argument(self, value: Any, leaves: Iterator[Expression]) -> Expression:
        """An argument as text; tensors and numbers come from `leaves`, in order."""
        if isinstance(value, torch.fx.Node | Affine | Curve | Half | Extent | Choice) or is_number(value):
            return next(leaves)
        if isinstance(value, slice):
            parts = [self.argument(part, leaves) for part in (value.start, value.stop, value.step)]
            start, stop, step = ("" if part.value is None else part.text for part in parts)
            return Expression(f"{start}:{stop}" + (f":{step}" if step else ""), 0)
        if isinstance(value, dict):
            inner = [f"{literal(key)}: {self.argument(item, leaves).text}" for key, item in value.items()]
            return Expression("{" + ", ".join(inner) + "}")
        if isinstance(value, tuple | list):
            return self.display(value, leaves)
        return literal_expression(value)

    def display(self, value: tuple[Any, ...] | list[Any], leaves: Iterator[Expression]) -> Expression:
        items = [self.argument(item, leaves) for item in value]
        known = all(item.value is not UNKNOWN for item in items)
        plain = (tuple if isinstance(value, tuple) else list)(item.value for item in items) if known else UNKNOWN
        texts = self.with_lists(value, items)
        if isinstance(value, list) and len(texts) == 1 and texts[0].startswith("*"):
            return Expression(texts[0][1:])
        inner = ", ".join(texts)
        if isinstance(value, list):
            return Expression(f"[{inner}]", ATOM, plain, tuple(items))
        return Expression(f"({inner},)" if len(texts) == 1 else f"({inner})", ATOM, plain, tuple(items))

    def with_lists(self, value: Any, items: list[Expression]) -> list[str]:
        """The elements' texts, with what a loop has gathered as `*list`."""
        texts: list[str] = []
        position = 0
        while position < len(items):
            first = self.lists.get(value[position]) if isinstance(value[position], torch.fx.Node) else None
            if first is not None and value[position] is first and not items[position].text:
                texts.append(f"*{self.locals.lists[first]}")
                position += len(self.gathered[first].gathered[first])
            else:
                texts.append(items[position].text)
                position += 1
        return texts

    def leaf(self, position: int, number: int) -> Expression:
        leaf = self.flow.body[position].leaves[number]
        place = self.flow.places.get((position, number))
        if place is not None:
            return self.from_loop(place)
        if isinstance(leaf, Const):
            if (position, number) in self.locals.numbers:
                return Expression(self.locals.numbers[position, number])
            if (position, number) in self.function.explained:
                return self.power(position, *self.function.explained[position, number])
            if (position, number) in self.function.inferred:
                return literal_expression(-1)
            return number_expression(leaf.value, self.size_name)
        if leaf in self.lists and self.flow.loop_at.get(position) is not self.gathered[self.lists[leaf]]:
            return Expression("")  # printed with the whole list
        leaf = self.flow.alias(leaf)
        if leaf in self.flow.inlined:
            return self.expression(self.flow.inlined[leaf])
        if leaf in self.locals.copied:
            own = self.locals.arguments[self.region.arguments.index(leaf)]
            if self.is_before(position, self.rebound[own]):
                return Expression(own, tensor=True)
        return self.tensor(leaf)

    def from_loop(self, place: tuple[Any, ...]) -> Expression:
        if place[0] == "carried":
            return Expression(self.locals.names[place[1]])
        _, column, rest = place
        if column.kind != "index":
            return Expression(reach(column.variable, rest))
        return progression_expression(column.variable, *rest)

    def power(self, position: int, place: int, dimension: int, power: float) -> Expression:
        size = self.size(position, place, dimension)
        return size if power == 1 else Expression(f"{size.text} ** {power}", 14)

    def size(self, position: int, place: int, dimension: int) -> Expression:
        """The size of an argument; one whose name is given to another value before `position` is read at the top."""
        name = self.argument_name(place)
        if name not in self.rebound or self.is_before(position, self.rebound[name]):
            return Expression(f"{name}.shape[{dimension}]")
        if (place, dimension) not in self.sizes:
            self.sizes[place, dimension] = self.locals.claim(f"{name}_size", [(-1, AFTER + 1)])
        return Expression(self.sizes[place, dimension])

    def tensor(self, leaf: Any) -> Expression:
        if leaf in self.locals.names:
            return Expression(self.locals.names[leaf], tensor=True)
        if isinstance(leaf, Constant):
            return self.constant(leaf)
        return Expression(reach(leaf[0], relative_steps(leaf, self.region, self.records)), tensor=True)

    def constant(self, leaf: Constant) -> Expression:
        value = self.program.constants[leaf.name]
        if needs_file(value):
            moved = f".to({self.device})" if self.device else ""
            return Expression(f"CONSTANTS[{literal(leaf.name)}]{moved}")
        text = tensor_literal(value)
        return Expression(text[:-1] + f", device={self.device})" if self.device else text)


@contextmanager
def located(where: str | None) -> Iterator[None]:
    """Gives an error that has no place the line of the call that is being printed."""
    try:
        yield
    except HyperGenError as error:
        place = error.where or where
        raise HyperGenError(error.code, error.what, where=place, remedy=error.remedy) from error
