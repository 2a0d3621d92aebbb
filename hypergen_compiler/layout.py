"""Where every parameter lives in the flat buffer that the hypernetwork emits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from types import MappingProxyType

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Parameter, Program

__all__ = ["ALIGNMENT", "ParameterLayout", "Slot", "lay_out", "matching"]

ALIGNMENT = 64  # bytes: a cache line, and what vectorised kernels want of a pointer


@dataclass(frozen=True)
class Slot:
    """One tensor's place: `offset` and `size` in elements, `aliases` the other names of a tied parameter.

    A `trained` tensor is `conditioned` where a head makes it depend on the dataset; it is learned the same for all
    datasets where not, but for a gain on each index of the dimension `gain`, if it has one.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    aliases: tuple[str, ...] = ()
    trained: bool = True
    conditioned: bool = True
    gain: int | None = None

    @property
    def size(self) -> int:
        return torch.Size(self.shape).numel()

    @property
    def channels(self) -> int:
        """How many gains the tensor has."""
        return 0 if self.gain is None else self.shape[self.gain]


@dataclass(frozen=True)
class ParameterLayout:
    """Slots in buffer order: first all that depend on the dataset, then the others that training may change, then the
    frozen and the unread ones, then a critic's.

    `conditioned` elements lead the buffer: a head changes them. `trained` elements, those included, are emitted; the
    rest keep the model's own values, but for those from `critic` on, which are trained beside the hypernetwork. `size`
    counts all elements, padding included; all are multiples of the alignment.
    """

    slots: tuple[Slot, ...]
    conditioned: int
    trained: int
    size: int
    dtype: torch.dtype = torch.float32
    critic: int | None = None

    @cached_property
    def by_name(self) -> dict[str, Slot]:
        return {name: slot for slot in self.slots for name in (slot.name, *slot.aliases)}

    def room(self, slot: Slot) -> int:
        """How many elements a slot takes with its padding."""
        step = ALIGNMENT // self.dtype.itemsize
        return -(-slot.size // step) * step

    @property
    def gains(self) -> int:
        """How many gains the matrices have."""
        return sum(slot.channels for slot in self.slots)

    @property
    def weights(self) -> int:
        """How many numbers the model's parameters hold, without padding."""
        return sum(slot.size for slot in self.slots)


def matching(program: Program, patterns: Iterable[str]) -> frozenset[str]:
    """The names of the parameters that match any of the patterns, as in a shell: `*.bias`, `encoder.*`.

    Raises HG305 for a pattern that matches none.
    """
    found = set()
    for pattern in patterns:
        names = {p.name for p in program.parameters if any(fnmatchcase(n, pattern) for n in (p.name, *p.aliases))}
        if not names:
            known = ", ".join(parameter.name for parameter in program.parameters[:4])
            raise HyperGenError(
                "HG305",
                f"no parameter of {program.model} matches {pattern!r}",
                remedy=f"Its parameters are called {known}{', ...' if len(program.parameters) > 4 else ''}.",
            )
        found |= names
    return frozenset(found)


def lay_out(
    program: Program, kept: Collection[str] = (), gains: Mapping[str, int] = MappingProxyType({})
) -> ParameterLayout:
    """Places every parameter on a 64-byte boundary: trained ones first, of these those in `kept` after the others; a
    critic's last; else in the model's order. `gains` are the dimensions of matrices that have gains, by their names.

    Raises HG302 for a model without trained parameters and HG301 for a parameter that is complex or of another type
    than the others.
    """
    trained = [parameter for parameter in program.parameters if parameter.trained]
    if not any(parameter.value.numel() for parameter in trained):
        raise HyperGenError(
            "HG302",
            f"{program.model} has no parameter with elements that an entry point reads and that requires a gradient",
            remedy="Give an entry point that uses the parameters, or unfreeze them with `requires_grad_(True)`.",
        )
    dtype = trained[0].value.dtype
    step = ALIGNMENT // dtype.itemsize
    slots: list[Slot] = []
    ends = [0, 0, 0, 0]
    for parameter in sorted(program.parameters, key=lambda parameter: group(parameter, kept)):
        check_type(parameter, dtype)
        place, shape = group(parameter, kept), tuple(parameter.value.shape)
        gain, conditioned = gains.get(parameter.name), place == CONDITIONED
        slots.append(Slot(parameter.name, shape, ends[3], parameter.aliases, parameter.trained, conditioned, gain))
        end = ends[3] + -(-parameter.value.numel() // step) * step
        ends[place:] = [end] * (4 - place)
    critic = ends[FIXED] if any(parameter.critic for parameter in program.parameters) else None
    return ParameterLayout(tuple(slots), *ends[:FIXED], ends[CRITIC], dtype, critic)


CONDITIONED, KEPT, FIXED, CRITIC = range(4)


def group(parameter: Parameter, kept: Collection[str]) -> int:
    """Which of the four parts of the buffer a parameter belongs to."""
    if parameter.trained:
        return KEPT if parameter.name in kept else CONDITIONED
    return CRITIC if parameter.critic else FIXED


def check_type(parameter: Parameter, dtype: torch.dtype) -> None:
    if parameter.value.is_complex():
        raise HyperGenError(
            "HG301",
            f"parameter {parameter.name!r} is complex, and the buffer holds real numbers",
            remedy="Keep it as a real parameter of pairs, and read it by `torch.view_as_complex`.",
        )
    if parameter.value.dtype != dtype:
        raise HyperGenError(
            "HG301",
            f"parameter {parameter.name!r} is {parameter.value.dtype}, others are {dtype}: one buffer has one type",
            remedy="Convert the model to one type, for example with `model.float()`, before compiling it.",
        )
