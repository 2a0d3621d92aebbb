"""Calls, leaves and numbers of a function's body as expressions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.fx

from hypergen_compiler.emit.arguments import Arguments
from hypergen_compiler.emit.devices import device_of
from hypergen_compiler.emit.flow import Flow
from hypergen_compiler.emit.literals import literal, tensor_literal
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.emit.numbers import number_expression, progression_expression
from hypergen_compiler.emit.records import Records, reach
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.fold import Call, Const, Constant
from hypergen_compiler.fold.borders import relative_steps
from hypergen_compiler.fold.leaves import is_const, is_number
from hypergen_compiler.fold.option import Option
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
        self.given = Arguments(flow, names)
        self.device = device_of(self.function, names.names, self.given.rebound, records)

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
        needed += [self.given.name(place) for place in option.arguments]
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
            if self.given.is_before(position, self.given.rebound[own]):
                return Expression(own, tensor=True)
        return self.tensor(leaf)

    def from_loop(self, place: tuple[Any, ...]) -> Expression:
        if place[0] == "carried":
            return Expression(self.locals.names[place[1]])
        _, column, rest = place
        if column.kind != "index":
            return Expression(reach(column.variable, rest))
        if any(column in loop.columns and loop.descent is not None for loop in self.flow.loops):
            return Expression(column.variable)
        return progression_expression(column.variable, *rest)

    def power(self, position: int, place: int, dimension: int, power: float) -> Expression:
        size = self.given.size(position, place, dimension)
        return size if power == 1 else Expression(f"{size.text} ** {power}", 14)

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
