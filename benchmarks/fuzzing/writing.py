"""What a generated program is written with: chance, names, values with shapes, and classes that grow members."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["ClassText", "Value", "Writer"]

LOCALS = (
    "h y z out w state n training tmp a b print input result x torch_ size self_ list type device _ F_ \u03c3"
).split()
MEMBERS = (
    "fc proj norm weight_ state w n training_ print list_ count index torch_ F Tensor model loss_ unpack State "
    "Weights _hidden __private layer1 layers \xfc scale emb block0 lambda_ shape_ dict_"
).split()
RESERVED_MEMBERS = frozenset({"training", "forward", "type", "half", "float", "double", "to", "state_dict"})


class Value(NamedTuple):
    """A variable that holds a tensor [n, *shape]."""

    name: str
    shape: tuple[int, ...]


@dataclass
class ClassText:
    """A class in the making: `members` are the lines of its constructor, `methods` further ones, in order."""

    name: str
    members: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    blocks: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = field(default_factory=dict)
    linears: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass
class Writer:
    """Writes one function's statements; `values` are the variables in reach, `lines` what was written."""

    chance: random.Random
    owner: ClassText
    program: Any
    values: list[Value]
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    indent: int = 0

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.chance.randrange(len(options))]

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def number(self) -> str:
        return self.pick(["2", "0.5", "-1.5", "3", "1e-3", "0.1", "1", "-1", "7.0"])

    def add(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def member(self, construction: str, hint: str | None = None) -> str:
        """Adds `self.NAME = construction` and returns `self.NAME`."""
        name = self.member_name(hint)
        self.owner.members.append(f"self.{name} = {construction}")
        return f"self.{name}"

    def member_name(self, hint: str | None = None) -> str:
        base = self.pick(MEMBERS) if hint is None or self.maybe(0.3) else hint
        name, number = base, 2
        while name in self.owner.taken or name in RESERVED_MEMBERS:
            name, number = f"{base}{number}", number + 1
        self.owner.taken.add(name)
        return name

    def buffer(self, construction: str) -> str:
        name = self.member_name(self.pick(["running", "ema", "count", "mask"]))
        persistent = ", persistent=False" if self.maybe(0.2) else ""
        known = f"_{self.owner.name}{name}" if name.startswith("__") else name  # as Python reads it in the class
        self.owner.members.append(f'self.register_buffer("{known}", {construction}{persistent})')
        return f"self.{name}"

    def new(self, expression: str, shape: Sequence[int]) -> Value:
        """`name = expression`, under a new name or an old one."""
        shape = tuple(shape)
        name = self.pick(LOCALS)
        same = [value for value in self.values if value.name == name]
        if same and not self.maybe(0.5):
            name = f"{name}{len(self.lines)}"
        self.add(f"{name} = {expression}")
        return self.hold(name, shape)

    def hold(self, name: str, shape: Sequence[int]) -> Value:
        made = Value(name, tuple(shape))
        self.values = [value for value in self.values if value.name != name] + [made]
        return made

    def any(self, least: int = 0, most: int = 9) -> Value | None:
        """A variable, recent ones before others, whose items have between `least` and `most` dimensions."""
        fitting = [value for value in self.values if least <= len(value.shape) <= most]
        if not fitting:
            return None
        return self.pick(fitting[-3:] if self.maybe(0.6) else fitting)

    def like(self, value: Value) -> Value:
        """A variable of the same shape, perhaps the same."""
        return self.pick([other for other in self.values if other.shape == value.shape] or [value])
