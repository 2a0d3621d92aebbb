"""One attempt at the text of a folded function, for given decisions about what nests."""

from __future__ import annotations

import re
from typing import Any

import torch.fx

from hypergen_compiler.emit.expressions import Expressions
from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.emit.long_lines import WIDTH, half, shortened
from hypergen_compiler.emit.numbers import number_expression
from hypergen_compiler.emit.origins import lines_of
from hypergen_compiler.emit.outputs import container_names, returned_expression
from hypergen_compiler.emit.printed import PrintedFunction, parameters, size_lines
from hypergen_compiler.emit.records import Records
from hypergen_compiler.emit.sources import loop_head
from hypergen_compiler.emit.targets import targets
from hypergen_compiler.fold import Call, Function, Loop
from hypergen_compiler.fold.items import Item
from hypergen_compiler.fold.leaves import leaf_of
from hypergen_compiler.fold.option import Option
from hypergen_compiler.ops import parenthesized
from hypergen_compiler.program import Container, Program

__all__ = ["Printer"]


class Printer:
    """One attempt at a function, for given decisions about what nests."""

    def __init__(self, function: Function, program: Program, records: dict[str, Records], flow: Flow, taken: set[str]):
        self.function, self.program, self.records, self.flow = function, program, records, flow
        self.region = function.model
        self.size_name = self.region.root_entry.free_size or "size"
        sized = function.size_from is not None or function.takes_size
        self.locals = Locals(flow, taken | {self.size_name} if sized else taken)
        function.number_names = tuple(dict.fromkeys(self.locals.numbers.values()))
        self.expressions = Expressions(program, records, flow, self.locals, self.size_name)
        self.lines: list[str] = []
        self.option: Option | None = None
        self.origins: dict[int, tuple[str, ...]] = {}
        self.too_long: set[int] = set()

    def print(self) -> PrintedFunction:
        context: tuple[str, ...] = ()
        for part in self.flow.plan:
            if isinstance(part, Loop):
                context = ()
                self.print_loop(part)
            elif self.flow.root.get(part) == part:
                context = self.print_statement(part, 0, context)
        self.print_return()
        head = [
            f"{name} = {argument}.shape[{dimension}]"
            for argument, dimension, name in size_lines(self.function, self.expressions)
            if any(re.search(rf"\b{name}\b", line) for line in self.lines)
        ]
        own_names = dict(zip(self.region.arguments, self.locals.arguments, strict=False))
        head += [f"{copy} = {own_names[leaf]}" for leaf, copy in self.locals.copied.items()]
        lines = (*((),) * len(head), *(self.origins.get(place, ()) for place in range(len(self.lines))))
        names = parameters(self.function, self.locals, self.size_name)
        return PrintedFunction(self.function, names, (*head, *self.lines), lines)

    # Statements

    def print_loop(self, loop: Loop) -> None:
        for value, start in loop.carried.items():
            text = self.expressions.tensor(self.flow.alias(start)).text
            if text != self.locals.names[value]:
                self.lines.append(f"{self.locals.names[value]} = {text}")
        for value in loop.gathered:
            self.lines.append(f"{self.locals.lists[value]} = []")
        self.lines.append(loop_head(self.expressions, loop))
        context: tuple[str, ...] = ()
        for step in range(loop.period):
            position = loop.start + step
            if self.flow.root.get(position) == position:
                context = self.print_statement(position, 1, context)
            for value in loop.gathered:
                if self.flow.definitions[value] == position:
                    context = ()
                    self.lines.append(f"    {self.locals.lists[value]}.append({self.locals.names[value]})")

    def print_statement(self, position: int, depth: int, context: tuple[str, ...]) -> tuple[str, ...]:
        """Appends one statement, inside the `with` or `if` that it needs; returns these for the next to share."""
        item = self.flow.body[position]
        option = self.function.option_at(position)
        needed: list[str] = []
        if option is not None:
            if (short := self.conditional(option, position)) is not None:
                self.origins[len(self.lines)] = self.origins_of(position)
                self.lines.append(short)
                return ()
            needed.append(f"if {self.expressions.condition(option)}:")
            if option is not self.option:
                context = ()
                self.print_instead(option)
        if item.mode is not None:
            needed.append("if training:" if item.mode == "training" else "if not training:")
        if not item.grad and self.region.grad:
            needed.append("with torch.no_grad():")
        if context != tuple(needed):
            alike = [one == other for one, other in zip(context, needed, strict=False)]
            shared = (*alike, False).index(False)
            self.lines += ["    " * (depth + level) + needed[level] for level in range(shared, len(needed))]
        indent = "    " * (depth + len(needed))
        for line in self.statement(position, len(indent) + 4, is_last=not needed and depth == 0):
            self.origins[len(self.lines)] = self.origins_of(position)
            self.lines.append(indent + line)
        return tuple(needed)

    def conditional(self, option: Option, position: int) -> str | None:
        """An option of one statement whose result has a name of its own, as `h = f(x) if w.f is not None else x`."""
        statements = {self.flow.root[p] for p in range(option.start, option.end) if p in self.flow.root}
        name, item = self.locals.names.get(option.out), self.flow.body[position]
        instead = self.expressions.tensor(self.flow.alias(option.instead)).text
        if statements != {position} or name == instead or item.mode is not None or item.grad != self.region.grad:
            return None
        expression = parenthesized(self.expressions.expression(position), 2)
        text = f"{name} = {expression} if {self.expressions.condition(option)} else {instead}"
        return text if len(text) + 4 <= WIDTH else None

    def print_instead(self, option: Option) -> None:
        """Before an option, what its result is without it."""
        self.option = option
        name, instead = self.locals.names[option.out], self.expressions.tensor(self.flow.alias(option.instead)).text
        if name != instead:
            self.lines.append(f"{name} = {instead}")

    def statement(self, position: int, indent: int, *, is_last: bool) -> list[str]:
        """The statement, behind one that gives a short name to a part of the weights where it would be too long."""
        item = self.flow.body[position]
        expression = self.expressions.expression(position)
        left = targets(item, self.locals.names)
        if is_last and self.returns(position, item):
            text = f"return {expression.text}"
        elif left is None or set(left.replace(" ", "")) <= set("_,()"):
            text = expression.text
        else:
            text = f"{left} = {expression.text}"
        if len(text) + indent <= WIDTH:
            return [text]
        nested = half(self.flow, self.expressions, position, text)
        if nested and not self.too_long:
            self.too_long = nested
        return [text] if nested else self.with_parts_named(position, text)

    def with_parts_named(self, position: int, text: str) -> list[str]:
        span = (position - 0.5, position + 0.5)
        return shortened(text, self.function.spaces, lambda name: self.locals.claim(name, [span]))

    def origins_of(self, position: int) -> tuple[str, ...]:
        """The user's lines behind a statement, with all that is nested in it."""
        found = [line for p in sorted(self.flow.tree[position]) for line in lines_of(self.region, self.flow.body[p])]
        return tuple(dict.fromkeys(found))

    def returns(self, position: int, item: Any) -> bool:
        """Whether the function's only result is all that the last statement makes."""
        entry = self.function.entry
        results = [self.flow.alias(node) for node in self.region.results]
        output = entry.entry.output if entry is not None else None
        if isinstance(output, list | dict | Container) or (
            isinstance(output, tuple) and (len(output) == 1 or tuple(results) != output)
        ):
            return False
        return results == item.outs and self.is_last_wish(position, item)

    def is_last_wish(self, position: int, item: Item) -> bool:
        """Whether nothing but the return statement reads what the last statement makes, unnamed where it is several."""
        if self.flow.printed[-1] != position or any(self.flow.uses[out] != [(AFTER, None)] for out in item.outs):
            return False
        if isinstance(item, Call):
            return len(item.outs) == 1 or all(self.locals.wanted.get(out) is None for out in item.outs)
        return item.outs == [item.node]

    def print_return(self) -> None:
        if self.lines and self.lines[-1].startswith("return "):
            return
        entry = self.function.entry
        if entry is not None:
            classes = container_names(self.program)
            self.append_return(returned_expression(entry.entry.output, self.returned, classes))
            return
        results = [self.result(node) for node in self.region.results]
        if results:
            self.append_return(", ".join(results))

    def append_return(self, text: str) -> None:
        if AFTER in self.flow.tree:
            self.origins[len(self.lines)] = self.origins_of(AFTER)
            if len(text) + 11 > WIDTH and not self.too_long:
                self.too_long = {p for node, p in self.flow.inlined.items() if self.flow.uses[node] == [(AFTER, None)]}
        self.lines.append(f"return {text}")

    def returned(self, leaf: Any) -> str:
        return self.result(leaf) if isinstance(leaf, torch.fx.Node) else number_expression(leaf, self.size_name).text

    def result(self, node: torch.fx.Node) -> str:
        leaf = self.flow.alias(leaf_of(node))
        if leaf in self.flow.inlined:
            return self.expressions.expression(self.flow.inlined[leaf]).text
        return self.expressions.tensor(leaf).text
