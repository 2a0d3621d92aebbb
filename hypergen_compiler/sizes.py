"""Numbers that follow the batch size n, and perhaps a second free size s: what stands for them in a program."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["TERMS", "Affine", "Curve", "Dimension", "Extent", "Half"]


@dataclass(frozen=True)
class Affine:
    """An integer that follows the batch size n: `slope * n + offset`."""

    slope: int
    offset: int = 0

    def at(self, n: int) -> int:
        return self.slope * n + self.offset


# What a float may be proportional or inversely proportional to, as it is printed.
TERMS: dict[str, Callable[[int], float]] = {
    "n": lambda n: n,
    "math.sqrt(n)": math.sqrt,
    "math.log(n)": math.log,
    "n - 1": lambda n: n - 1,
    "n**2": lambda n: n**2,
    "n * (n - 1)": lambda n: n * (n - 1),
}


@dataclass(frozen=True)
class Curve:
    """A float that follows the batch size n: `scale * term + offset` or `scale / term + offset`, one of `TERMS`."""

    term: str
    scale: float
    offset: float = 0.0
    inverse: bool = False

    def at(self, n: int) -> float:
        value = TERMS[self.term](n)
        return (self.scale / value if self.inverse else self.scale * value) + self.offset


@dataclass(frozen=True)
class Half:
    """One half of the batch size n: `n // 2` or, the `other`, `n - n // 2`."""

    other: bool = False

    def at(self, n: int) -> int:
        return n - n // 2 if self.other else n // 2


@dataclass(frozen=True)
class Extent:
    """An integer that follows the second free size s (a sequence's length, a picture's side), and perhaps n.

    The sum of `coefficient * n**i * s**j` over `terms` ((i, j), coefficient); `usual` is its value where the batch does
    not matter and s is the example's, for shapes that are wanted as plain numbers.
    """

    terms: tuple[tuple[tuple[int, int], Fraction], ...]
    usual: int = 0

    def at(self, n: int, s: int) -> Fraction:
        return sum((coefficient * n**i * s**j for (i, j), coefficient in self.terms), Fraction(0))

    @property
    def is_plain(self) -> bool:
        """Whether it is s itself."""
        return self.terms == (((0, 1), Fraction(1)),)


Dimension = int | Affine
