"""One folded function as Python text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx

from hypergen_compiler.emit.flow import AFTER, Flow
from hypergen_compiler.emit.literals import literal, tensor_literal
from hypergen_compiler.emit.locals import Locals
from hypergen_compiler.emit.outputs import returned_expression
from hypergen_compiler.emit.records import Records, reach
from hypergen_compiler.emit.weights import needs_file
from hypergen_compiler.fold import Call, Column, Const, Constant, Function, Loop, Weight, plan_loops
from hypergen_compiler.fold.borders import is_within, relative_steps
from hypergen_compiler.fold.items import is_const, is_number
from hypergen_compiler.ops import ATOM, Expression, Invocation, parenthesized, print_call
from hypergen_compiler.ops.expression import UNKNOWN, literal_expression
from hypergen_compiler.program import Affine, Choice, Extent, Program, Ratio

__all__ = ["WIDTH", "PrintedFunction", "print_function"]

WIDTH = 116  # of 120 columns: some air for the formatter
LONGEST_REPAIR = 200  # times that an over-long line may be taken apart


@dataclass(frozen=True)
class PrintedFunction:
    """`body` are the lines below the signature, unindented; `parameters` the names in order."""

    function: Function
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    named: int
    values: int


def print_function(
    function: Function, program: Program, records: dict[str, Records], taken: set[str]
) -> PrintedFunction:
    """Prints a function; what makes a line too long gets a statement of its own, until none is."""
    plan = plan_loops(function.model, records)
    own_line: set[int] = set()
    for _ in range(LONGEST_REPAIR):
        printer = Printer(function, program, records, Flow(function, plan, own_line), taken)
        printed = printer.print()
        if printer.too_long is None:
            break
        own_line.add(printer.too_long)
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
        self.lines: list[str] = []
        self.too_long: int | None = None
        self.gathered = {first: loop for loop in flow.loops for first in loop.gathered}
        self.lists = {out: first for loop in flow.loops for first, every in loop.gathered.items() for out in every}
        rebound = {name for node, name in self.locals.names.items() if node in flow.definitions}
        self.rebound = rebound & set(self.locals.arguments)
        self.sizes: dict[tuple[int, int], str] = {}
        self.device = self.find_device()

    def print(self) -> PrintedFunction:
        context: tuple[str, ...] = ()
        for part in self.flow.plan:
            if isinstance(part, Loop):
                context = ()
                self.print_loop(part)
            elif self.flow.root[part] == part:
                context = self.print_statement(part, 0, context)
        self.print_return()
        head = [f"{name} = {argument}.shape[{dimension}]" for argument, dimension, name in self.size_lines()]
        values = [node for node in self.flow.definitions if self.locals.names.get(node, "_") != "_"]
        return PrintedFunction(
            self.function, self.parameters(), (*head, *self.lines), self.locals.recovered, len(values)
        )

    def parameters(self) -> tuple[str, ...]:
        names = [*self.function.spaces, *self.locals.arguments, *self.function.number_names]
        if self.function.takes_batch:
            names.append("n")
        if self.function.takes_size:
            names.append(self.size_name)
        if self.function.uses_training or self.function.entry is not None:
            names.append("training")
        return tuple(names)

    def size_lines(self) -> Iterator[tuple[str, int, str]]:
        """Sizes that are read once, at the top, because their argument's name is given to another value later."""
        if self.function.batch_from is not None:
            place, dimension = self.function.batch_from
            yield self.argument_name(place), dimension, "n"
        if self.function.size_from is not None:
            place, dimension = self.function.size_from
            yield self.argument_name(place), dimension, self.size_name
        for (place, dimension), name in self.sizes.items():
            yield self.argument_name(place), dimension, name

    def argument_name(self, place: int) -> str:
        return self.locals.names[self.region.arguments[place]]

    def find_device(self) -> str | None:
        """An expression for the device of what the function works on: of a tensor argument, else of a weight."""
        for leaf in self.region.arguments:
            is_tensor = isinstance(leaf, Weight) or (isinstance(leaf, torch.fx.Node) and "shape" in leaf.meta)
            if is_tensor and self.locals.names.get(leaf) not in self.rebound:
                return f"{self.locals.names[leaf]}.device"
        for item in self.flow.body:
            for leaf in item.leaves:
                if isinstance(leaf, Weight) and is_within(leaf, self.region, self.records):
                    return f"{self.tensor(leaf).text}.device"
        return self.device_of_record()

    def device_of_record(self) -> str | None:
        for space in self.function.spaces:
            tree = self.records[space]
            base = tree.nodes[self.region.bases[space]][0]
            for steps in tree.steps.values():
                if steps[: len(base)] == base:
                    return f"{reach(space, steps[len(base) :])}.device"
        return None

    # Statements

    def print_loop(self, loop: Loop) -> None:
        for value, start in loop.carried.items():
            text = self.tensor(self.flow.alias(start)).text
            if text != self.locals.names[value]:
                self.lines.append(f"{self.locals.names[value]} = {text}")
        for value in loop.gathered:
            self.lines.append(f"{self.locals.lists[value]} = []")
        variables = [column.variable for column in loop.columns]
        sources = [self.column_source(loop, column) for column in loop.columns]
        if not sources:
            self.lines.append(f"for _ in range({loop.turns}):")
        elif len(sources) == 1:
            self.lines.append(f"for {variables[0]} in {sources[0]}:")
        else:
            self.lines.append(f"for {', '.join(variables)} in zip({', '.join(sources)}, strict=True):")
        context: tuple[str, ...] = ()
        for step in range(loop.period):
            position = loop.start + step
            if self.flow.root[position] == position:
                context = self.print_statement(position, 1, context)
            for value in loop.gathered:
                if self.flow.definitions[value] == position:
                    context = ()
                    self.lines.append(f"    {self.locals.lists[value]}.append({self.locals.names[value]})")

    def column_source(self, loop: Loop, column: Column) -> str:
        if column.kind == "index":
            return f"range({loop.turns})"
        if column.kind == "number":
            return displayed([self.number(leaf).text for leaf in column.values])
        if column.kind == "value":
            return displayed([self.tensor(self.flow.alias(leaf)).text for leaf in column.values])
        if isinstance(column.values[0], int):
            return self.slice_of_tuple(column)
        return displayed([reach(column.kind, (*column.prefix, value)) for value in column.values])

    def slice_of_tuple(self, column: Column) -> str:
        """`w.blocks` where the loop runs over all of it, a slice where over a part, else the elements one by one."""
        base = self.records[column.kind].nodes[self.region.bases[column.kind]][0]
        whole = reach(column.kind, column.prefix)
        length = tuple_length(self.records[column.kind], (*base, *column.prefix))
        values = column.values
        step = values[1] - values[0]
        if any(later - earlier != step for earlier, later in zip(values, values[1:], strict=False)):
            return displayed([reach(column.kind, (*column.prefix, value)) for value in values])
        if step == 1:
            start = values[0] or ""
            stop = values[-1] + 1 if values[-1] + 1 < length else ""
            return whole if start == stop == "" else f"{whole}[{start}:{stop}]"
        if step == -1:
            start = values[0] if values[0] + 1 < length else ""
            stop = values[-1] - 1 if values[-1] else ""
            return f"{whole}[{start}:{stop}:-1]"
        return displayed([reach(column.kind, (*column.prefix, value)) for value in values])

    def print_statement(self, position: int, depth: int, context: tuple[str, ...]) -> tuple[str, ...]:
        """Appends one statement, inside the `with` or `if` that it needs; returns these for the next to share."""
        item = self.flow.body[position]
        needed: list[str] = []
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
        self.lines.append(indent + self.statement(position, len(indent) + 4, is_last=not needed and depth == 0))
        return tuple(needed)

    def statement(self, position: int, indent: int, *, is_last: bool) -> str:
        item = self.flow.body[position]
        expression = self.expression(position)
        targets = self.targets(item)
        if is_last and self.returns(position, item):
            text = f"return {expression.text}"
        elif targets is None or set(targets.replace(" ", "")) <= set("_,()"):
            text = expression.text
        else:
            text = f"{targets} = {expression.text}"
        if len(text) + indent > WIDTH and self.too_long is None:
            self.too_long = self.longest_part(position)
        return text

    def longest_part(self, position: int) -> int | None:
        """The nested value whose expression is longest."""
        nested = [
            self.flow.inlined[leaf]
            for number, leaf in enumerate(map(self.flow.alias, self.flow.body[position].leaves))
            if leaf in self.flow.inlined and (position, number) not in self.flow.places
        ]
        return max(nested, key=lambda inner: len(self.expression(inner).text), default=None)

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
        if entry is not None and not isinstance(entry.entry.output, torch.fx.Node):
            return False
        last = self.flow.printed[-1] == position and self.flow.uses[results[0]] == [(AFTER, None)] if results else False
        whole = len(item.outs) == 1 and (isinstance(item, Call) or item.outs == [item.node])
        return bool(last) and len(results) == 1 and whole and results[0] is item.outs[0]

    def print_return(self) -> None:
        if self.lines and self.lines[-1].startswith("return "):
            return
        entry = self.function.entry
        if entry is not None:
            self.lines.append(f"return {returned_expression(entry.entry.output, self.result)}")
            return
        results = [self.result(node) for node in self.region.results]
        if results:
            self.lines.append("return " + ", ".join(results))

    def result(self, node: torch.fx.Node) -> str:
        from hypergen_compiler.fold.items import leaf_of

        return self.tensor(self.flow.alias(leaf_of(node))).text

    # Expressions

    def expression(self, position: int) -> Expression:
        item = self.flow.body[position]
        leaves = iter([self.leaf(position, number) for number in range(len(item.leaves))])
        if isinstance(item, Call):
            return self.call(item, list(leaves))
        node = item.node
        takes_tensors = any(not is_const(leaf) for leaf in item.leaves)
        args = [self.argument(argument, leaves) for argument in node.args]
        kwargs = {name: self.argument(argument, leaves) for name, argument in node.kwargs.items()}
        where = node.meta["where"]
        printed = print_call(
            Invocation(
                node.meta["name"],
                node.target,
                args,
                kwargs,
                where,
                self.device,
                takes_tensors,
                node.meta["call"].reflected,
            )
        )
        wanted = [out for out in item.outs if self.flow.uses[out] or out in self.flow.carried]
        if item.outs != [node] and len(wanted) == 1 and wanted[0] in self.flow.inlined:
            return Expression(f"{parenthesized(printed, ATOM)}[{literal(wanted[0].args[1])}]")
        return printed

    def call(self, item: Call, leaves: list[Expression]) -> Expression:
        function = item.function
        arguments = [leaf.text for leaf in leaves]
        if function.uses_training:
            arguments.append("training")
        return Expression(f"{function.name}({', '.join(arguments)})")

    def argument(self, value: Any, leaves: Iterator[Expression]) -> Expression:
        """An argument as text; tensors and numbers come from `leaves`, in order."""
        if isinstance(value, torch.fx.Node | Affine | Extent | Ratio | Choice) or is_number(value):
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
                return self.size(*self.function.explained[position, number])
            return self.number(leaf)
        if leaf in self.lists and self.flow.loop_at.get(position) is not self.gathered[self.lists[leaf]]:
            return Expression("")  # printed with the whole list
        leaf = self.flow.alias(leaf)
        if leaf in self.flow.inlined:
            return self.expression(self.flow.inlined[leaf])
        return self.tensor(leaf)

    def from_loop(self, place: tuple[Any, ...]) -> Expression:
        if place[0] == "carried":
            return Expression(self.locals.names[place[1]])
        _, column, rest = place
        if column.kind != "index":
            return Expression(reach(column.variable, rest))
        first, step = rest
        scaled = column.variable if abs(step) == 1 else f"{abs(step)} * {column.variable}"
        if step < 0:
            return Expression(f"{first} - {scaled}", 11)
        if first == 0:
            return Expression(scaled, ATOM if step == 1 else 12)
        return Expression(f"{scaled} {'+' if first > 0 else '-'} {abs(first)}", 11)

    def size(self, place: int, dimension: int) -> Expression:
        name = self.argument_name(place)
        if name not in self.rebound:
            return Expression(f"{name}.shape[{dimension}]")
        if (place, dimension) not in self.sizes:
            self.sizes[place, dimension] = self.locals.claim(f"{name}_size", [(-1, AFTER + 1)])
        return Expression(self.sizes[place, dimension])

    def number(self, leaf: Const) -> Expression:
        value = leaf.value
        if isinstance(value, Affine):
            text = "n" if value.slope == 1 else f"{value.slope} * n"
            if value.offset:
                return Expression(f"{text} {'+' if value.offset > 0 else '-'} {abs(value.offset)}", 11)
            return Expression(text, ATOM if value.slope == 1 else 12)
        if isinstance(value, Extent):
            return extent_expression(value, self.size_name)
        if isinstance(value, Ratio):
            return Expression(f"{literal(value.numerator)} / n", 12)
        if isinstance(value, Choice):
            if value == Choice(True, False):
                return Expression("training")
            if value == Choice(False, True):
                return Expression("not training", 5)
            return Expression(f"{literal(value.training)} if training else {literal(value.evaluation)}", 1)
        return literal_expression(value)

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


def extent_expression(extent: Extent, size: str) -> Expression:
    """`n * length`, `side // 2`, `length + 1`."""
    texts = []
    for (batches, sizes), coefficient in extent.terms:
        factors = ["n"] * batches + [size] * sizes
        if abs(coefficient.numerator) != 1 or not factors:
            factors.insert(0, str(abs(coefficient.numerator)))
        text = " * ".join(factors) + (f" // {coefficient.denominator}" if coefficient.denominator != 1 else "")
        texts.append(("- " if coefficient < 0 else "+ " if texts else "") + text)
    joined = " ".join(texts)
    return Expression(joined, 11 if len(texts) > 1 else 12 if " " in joined else ATOM)


def displayed(texts: list[str]) -> str:
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


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


def tuple_length(tree: Records, steps: tuple[Any, ...]) -> int:
    return 1 + max(path[len(steps)] for path in tree.steps.values() if path[: len(steps)] == steps)
