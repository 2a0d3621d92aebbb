"""Generated programs: from a seed to the text of a module file, such as a person could have written.

A file defines `model()`, `example(n)` and `ENTRIES`, the names of its entry points.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .expressions import BINARY, UNARY, product
from .statements import write_statement
from .writing import ClassText, Value, Writer

__all__ = ["program"]

INPUTS = ((4,), (6,), (3, 4), (2, 3), (2, 4, 4), (1, 2, 3), (8,))
CLASSES = "Block Encoder State_ Weights_ Residual Net2 Tensor_ Größe Attention _Private model_ Loss".split()
MOST_CLASSES = 4
HEADER = """\
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclass
class Result:
    value: torch.Tensor
    extra: object = None
"""


@dataclass
class ProgramText:
    """What is written besides the statements: classes and functions, callees first."""

    chance: random.Random
    classes: list[ClassText] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def function(self, w: Writer) -> str:
        """The name of a function (x, y) of the file."""
        if self.functions and w.maybe(0.5):
            return f"function{w.chance.randrange(len(self.functions))}"
        one, two, three = w.pick(UNARY).format("x"), w.pick(BINARY).format("x", "y"), w.pick(UNARY).format("y")
        name = f"function{len(self.functions)}"
        self.functions.append(f"def {name}(x, y):\n    y = {three}\n    x = {one}\n    return {two} + y")
        return name

    def block(self, w: Writer, shape: tuple[int, ...]) -> str | None:
        """The name of a class whose forward keeps a shape."""
        known = [name for name, other in self.shapes.items() if other == shape]
        if known and w.maybe(0.5):
            return w.pick(known)
        if w.depth >= 2 or len(self.shapes) >= MOST_CLASSES:
            return w.pick(known) if known else None
        name = f"{w.pick(CLASSES)}{len(self.shapes)}"
        self.shapes[name] = (-1,)  # in the making, so that it does not hold itself
        owner = ClassText(name)
        inner = Writer(self.chance, owner, self, [Value("x", shape)], depth=w.depth + 1, indent=0)
        for _ in range(self.chance.randint(1, 5)):
            write_statement(inner)
        result = shaped(inner, shape)
        owner.methods.append(method("forward", "x", inner.lines, result))
        self.shapes[name] = shape
        self.classes.append(owner)
        return name


def program(seed: int) -> str:
    """The text of the file of this seed."""
    chance = random.Random(seed)
    text = ProgramText(chance)
    inputs = [Value(name, chance.choice(INPUTS)) for name in ("x", "y")[: 1 + (chance.random() < 0.2)]]
    model = ClassText("Model")
    writer = Writer(chance, model, text, list(inputs))
    for _ in range(chance.randint(2, 9)):
        write_statement(writer)
    last = writer.values[-1]  # so that there are weights to learn, and a loss has a gradient
    gain = writer.member(writer.pick(["nn.Parameter(torch.rand(1))", "nn.Parameter(torch.tensor(0.5))"]), "gain")
    writer.new(
        writer.pick([f"{last.name} * {gain}", f"{last.name} + {gain}", f"({last.name} - {gain}).tanh()"]), last.shape
    )
    names = [value.name for value in inputs]
    entries = ["forward"]
    model.methods.append(method("forward", ", ".join(names), writer.lines, returned(writer)))
    if chance.random() < 0.3:
        model.methods.append(LOSS.format(", ".join(names)))
        entries.append("loss")
    if chance.random() < 0.2:
        model.methods.append(second_entry(chance, text, model, inputs))
        entries.append("encode")
    return (
        "\n\n\n".join(
            [
                HEADER.rstrip("\n"),
                LEAVES,
                *text.functions,
                *map(class_text, [*text.classes, model]),
                f"def model():\n    torch.manual_seed({seed})\n    return Model()",
                f"def example(n):\n    return ({', '.join(f'torch.randn(n, {numbers(v.shape)})' for v in inputs)},)",
                f"ENTRIES = {tuple(entries)!r}",
            ]
        )
        + "\n"
    )


LEAVES = """\
def leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Result):
        value = [value.value, value.extra]
    return [leaf for item in value or () for leaf in leaves(item)] if isinstance(value, (list, tuple)) else []"""

LOSS = """\
def loss(self, {0}):
    total = 0
    for leaf in leaves(self({0})):
        total = total + leaf.float().square().mean()
    return total"""


def second_entry(chance: random.Random, text: ProgramText, model: ClassText, inputs: list[Value]) -> str:
    writer = Writer(chance, model, text, list(inputs), depth=1)
    for _ in range(chance.randint(1, 4)):
        write_statement(writer)
    scale = writer.member("nn.Parameter(torch.rand(1))", "gain")
    return method("encode", ", ".join(v.name for v in inputs), writer.lines, f"{writer.values[-1].name} * {scale}")


def returned(w: Writer) -> str:
    """What `forward` returns: a tensor or some container."""
    one, two = w.values[-1].name, w.pick(w.values).name
    return w.pick(
        [one] * 6
        + [
            f"{one}, {two}", f"({one}, [{two}, {one}])", f"[{one}, {two}.sin()]",
            f"{{'out': {one}, 'second value': {two}}}", f"Pair({one}, {two})",
            f"Result({one}, {two})", f"Result({one})",
            f"({one}, None, {{'a': ({two}, 3)}})", f"{{'loss': {one}.mean(), 'x': [{two}]}}", f"{one}, {one}",
            f"({one},)", f"Pair({one}, Pair({two}, {one} * 2))",
            f"{one}, {two}.shape[0], {two}.shape[-1]", f"{one}.sum(), {two}.detach()", f"{{0: {one}, 'class': {two}}}",
        ]
    )  # fmt: skip


def shaped(w: Writer, shape: tuple[int, ...]) -> str:
    """An expression of the wanted shape from the last value."""
    last = w.values[-1]
    if last.shape == shape:
        return last.name
    wanted = product(shape)
    if product(last.shape) == wanted:
        return f"{last.name}.reshape(-1, {numbers(shape)})"
    layer = w.member(f"nn.Linear({product(last.shape)}, {wanted})", "out")
    return f"{layer}({last.name}.reshape(len({last.name}), -1)).view(-1, {numbers(shape)})"


def method(name: str, parameters: str, lines: list[str], result: str) -> str:
    body = "\n".join(f"    {line}" for line in [*lines, f"return {result}"])
    return f"def {name}(self, {parameters}):\n{body}"


def class_text(owner: ClassText) -> str:
    members = "\n".join(f"        {line}" for line in owner.members)
    methods = "\n\n".join(indented(text) for text in owner.methods)
    return (
        f"class {owner.name}(nn.Module):\n    def __init__(self):\n        super().__init__()\n{members}\n\n{methods}"
    )


def indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.splitlines())


def numbers(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
