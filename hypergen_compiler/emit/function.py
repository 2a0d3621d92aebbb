"""One folded function as Python text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch.fx

from hypergen_compiler.emit.expressions import Expressions
from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.emit.numbers import number_expression
from hypergen_compiler.emit.origins import lines_of
from hypergen_compiler.emit.outputs import container_names, returned_expression
from hypergen_compiler.emit.records import Records, one_of
from hypergen_compiler.emit.sources import column_source
from hypergen_compiler.fold import Call, Function, Loop, plan_loops
from hypergen_compiler.fold.items import Item, Option
from hypergen_compiler.fold.leaves import leaf_of
from hypergen_compiler.ops import parenthesized
from hypergen_compiler.program import Container, Program

__all__ = ["WIDTH", "PrintedFunction", "print_function"]

WIDTH = 119  # of 120 columns: the formatter may put a space around an operator
PART = re.compile(r"(?<![\w.])((\w+)(?:\.[a-zA-Z_]\w*|\[\d+\]){2,})(?=\.\w)")  # `w.blocks[0].norm` of its `.weight`
LONGEST = 29  # lines of a body; a longer one takes `x = torch.cat((x, y)); x = block(x)` together
LONGEST_REPAIR = 200  # times that an over-long line may be taken apart


@dataclass(frozen=True)
class PrintedFunction:
    """`body` are the lines below the signature, unindented; `parameters` the names in order.

    `lines` has for each of the body the user's lines, as `file:line`, that it came from.
    """

    function: Function
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    named: int
    values: int


def print_function(
    function: Function, program: Program, records: dict[str, Records], taken: set[str]
) -> PrintedFunction:
    """Prints a function; what makes a line too long gets a statement of its own, until none is."""
    plan = plan_loops(function.model, records)
    printed = attempts(function, program, records, taken, plan, is_dense=False)
    if len(printed.body) <= LONGEST:
        return printed
    return attempts(function, program, records, taken, plan, is_dense=True)


def attempts(
    function: Function,
    program: Program,
    records: dict[str, Records],
    taken: set[str],
    plan: list[int | Loop],
    *,
    is_dense: bool,
) -> PrintedFunction:
    own_line: set[int] = set()
    for _ in range(LONGEST_REPAIR):
        printer = Printer(function, program, records, Flow(function, plan, own_line, is_dense=is_dense), taken)
        printed = printer.print()
        if not printer.too_long:
            break
        own_line |= printer.too_long
    return printed


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
            for argument, dimension, name in self.size_lines()
            if any(re.search(rf"\b{name}\b", line) for line in self.lines)
        ]
        own_names = dict(zip(self.region.arguments, self.locals.arguments, strict=False))
        head += [f"{copy} = {own_names[leaf]}" for leaf, copy in self.locals.copied.items()]
        values = [node for node in self.flow.definitions if self.locals.names.get(node, "_") != "_"]
        lines = (*((),) * len(head), *(self.origins.get(place, ()) for place in range(len(self.lines))))
        return PrintedFunction(
            self.function, self.parameters(), (*head, *self.lines), lines, self.locals.recovered, len(values)
        )

    def parameters(self) -> tuple[str, ...]:
        names = [*self.function.spaces, *self.locals.arguments, *self.function.number_names]
        if self.function.takes_batch:
            names.append("n")
        if self.function.takes_size:
            names.append(self.size_name)
        if self.function.uses_training or self.function.entry is not None:
            names.append("training")
        if self.function.takes_device:
            names.append("device")
        return tuple(names)

    def size_lines(self) -> Iterator[tuple[str, int, str]]:
        """Sizes that are read once, at the top, because their argument's name is given to another value later."""
        if self.function.batch_from is not None:
            place, dimension = self.function.batch_from
            yield self.expressions.own_name(place), dimension, "n"
        if self.function.size_from is not None:
            place, dimension = self.function.size_from
            yield self.expressions.own_name(place), dimension, self.size_name
        for (place, dimension), name in self.expressions.sizes.items():
            yield self.expressions.own_name(place), dimension, name

    # Statements

    def print_loop(self, loop: Loop) -> None:
        for value, start in loop.carried.items():
            text = self.expressions.tensor(self.flow.alias(start)).text
            if text != self.locals.names[value]:
                self.lines.append(f"{self.locals.names[value]} = {text}")
        for value in loop.gathered:
            self.lines.append(f"{self.locals.lists[value]} = []")
        variables = [column.variable for column in loop.columns]
        sources = [column_source(self.expressions, loop, column) for column in loop.columns]
        if not sources:
            self.lines.append(f"for _ in range({loop.turns}):")
        elif len(sources) == 1:
            self.lines.append(f"for {variables[0]} in {sources[0]}:")
        else:
            self.lines.append(f"for {', '.join(variables)} in zip({', '.join(sources)}, strict=True):")
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
            self.print_instead(option, needed[0] in context)
        if item.mode is not None:
            needed.append("if training:" if item.mode == "training" else "if not training:")
        if not item.grad and self.region.grad:
            needed.append("with torch.no_grad():")
        shared = 0
        while shared < len(needed) and context[shared : shared + 1] == (needed[shared],):
            shared += 1
        if context[: len(needed)] != tuple(needed) or len(context) != len(needed):
            for level in range(shared, len(needed)):
                self.lines.append("    " * (depth + level) + needed[level])
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

    def print_instead(self, option: Option, has_begun: bool) -> None:
        """Before an option, what its result is without it."""
        name, instead = self.locals.names[option.out], self.expressions.tensor(self.flow.alias(option.instead)).text
        if name != instead and not has_begun:
            self.lines.append(f"{name} = {instead}")

    def statement(self, position: int, indent: int, *, is_last: bool) -> list[str]:
        """The statement, behind one that gives a short name to a part of the weights where it would be too long."""
        item = self.flow.body[position]
        expression = self.expressions.expression(position)
        targets = self.targets(item)
        if is_last and self.returns(position, item):
            text = f"return {expression.text}"
        elif targets is None or set(targets.replace(" ", "")) <= set("_,()"):
            text = expression.text
        else:
            text = f"{targets} = {expression.text}"
        if len(text) + indent <= WIDTH:
            return [text]
        nested = self.half(position, text)
        if nested and not self.too_long:
            self.too_long = nested
        return [text] if nested else self.shortened(position, text)

    def shortened(self, position: int, text: str) -> list[str]:
        """`layer = w.layers[2]`, where the statement reads several tensors of it."""
        found = Counter(match[1] for match in PART.finditer(text) if match[2] in self.function.spaces)
        repeated = [part for part, count in found.items() if count > 1]
        if not repeated or '"' in text:
            return [text]
        part = max(repeated, key=len)
        wanted = next(word for word in reversed(re.findall(r"\w+", part)) if not word.isdigit())
        name = self.locals.claim(one_of(wanted), [(position - 0.5, position + 0.5)])
        return [f"{name} = {part}", re.sub(rf"(?<![\w.]){re.escape(part)}(?=\.)", name, text)]

    def origins_of(self, position: int) -> tuple[str, ...]:
        """The user's lines behind a statement, with all that is nested in it."""
        found = [line for p in sorted(self.flow.tree[position]) for line in lines_of(self.region, self.flow.body[p])]
        return tuple(dict.fromkeys(found))

    def half(self, position: int, text: str) -> set[int]:
        """The nested value that, with a statement of its own, leaves the longer of the two shortest."""
        nested = self.flow.tree[position] - {position}
        lengths = {inner: len(self.expressions.expression(inner).text) for inner in nested}
        longer = {inner: max(length, len(text) - length) for inner, length in lengths.items()}
        return {min(nested, key=lambda inner: (longer[inner], inner))} if nested else set()

    def targets(self, item: Any) -> str | None:
        names = self.locals.names
        if isinstance(item, Call):
            return ", ".join(names.get(out, "_") for out in item.outs) or None
        if item.outs == [item.node]:
            return names.get(item.node, "_")
        if not item.outs:
            return None
        return pattern([(out.args[1:], names.get(out, "_")) for out in item.outs], item.node)

    def returns(self, position: int, item: Any) -> bool:
        """Whether the function's only result is all that the last statement makes."""
        entry = self.function.entry
        results = [self.flow.alias(node) for node in self.region.results]
        output = entry.entry.output if entry is not None else None
        if isinstance(output, list | dict | Container):
            return False
        if isinstance(output, tuple) and (len(output) == 1 or tuple(results) != output):
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


def pattern(results: list[tuple[tuple[Any, ...], str]], node: torch.fx.Node) -> str:
    """The left side that takes a call's nested results apart: `output, (hidden, cell)`."""
    tree: dict[Any, Any] = {}
    for path, name in results:
        level = tree
        for step in path[:-1]:
            level = level.setdefault(step, {})
        level[path[-1]] = name
    return nested_targets(tree, result_structure(node), outer=True)


def result_structure(node: torch.fx.Node) -> Any:
    return node.meta["call"].out


def nested_targets(tree: dict[Any, Any], structure: Any, *, outer: bool = False) -> str:
    parts = []
    for index in range(len(structure)):
        inner = tree.get(index, "_")
        parts.append(nested_targets(inner, structure[index]) if isinstance(inner, dict) else inner)
    text = ", ".join(parts) + ("," if len(parts) == 1 else "")
    return text if outer else f"({text})"
