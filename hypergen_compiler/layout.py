"""Where every parameter lives in the flat buffer that the hypernetwork emits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.program import Parameter, Program

__all__ = ["ALIGNMENT", "ParameterLayout", "Slot", "lay_out"]

ALIGNMENT = 64  # bytes: a cache line, and what vectorised kernels want of a pointer


@dataclass(frozen=True)
class Slot:
    """One tensor's place: `offset` and `size` in elements, `aliases` the other names of a tied parameter."""

    name: str
    shape: tuple[int, ...]
    offset: int
    aliases: tuple[str, ...] = ()
    trained: bool = True

    @property
    def size(self) -> int:
        return torch.Size(self.shape).numel()


@dataclass(frozen=True)
class ParameterLayout:
    """Slots in buffer order: first all that training may change, then the frozen and the unread ones, then a critic's.

    `trained` elements lead the buffer and are emitted; the rest keep the model's own values, but for those from
    `critic` on, which are trained beside the hypernetwork. `size` counts all elements, padding included; all are
    multiples of the alignment.
    """

    slots: tuple[Slot, ...]
    trained: int
    size: int
    dtype: torch.dtype = torch.float32
    critic: int | None = None

    @cached_property
    def by_name(self) -> dict[str, Slot]:
        return {name: slot for slot in self.slots for name in (slot.name, *slot.aliases)}

    @property
    def weights(self) -> int:
        """How many numbers the model's parameters hold, without padding."""
        return sum(slot.size for slot in self.slots)


def lay_out(program: Program) -> ParameterLayout:
    """Places every parameter on a 64-byte boundary: trained ones first, a critic's last, else in the model's order.

    Raises HG302 for a model without trained parameters and HG301 for a parameter of another type than the others.
    """
    trained = [p for p in program.parameters if p.trained]
    if not trained:
        raise HyperGenError(
            "HG302",
            f"{program.model} has no parameter that an entry point reads and that requires a gradient",
            remedy="Give an entry point that uses the parameters, or unfreeze them with `requires_grad_(True)`.",
        )
    dtype = trained[0].value.dtype
    step = ALIGNMENT // dtype.itemsize
    slots: list[Slot] = []
    offset = boundary = 0
    critic = None
    for parameter in [*trained, *sorted((p for p in program.parameters if not p.trained), key=lambda p: p.critic)]:
        check_type(parameter, dtype)
        if parameter.critic and critic is None:
            critic = offset
        shape = tuple(parameter.value.shape)
        slots.append(Slot(parameter.name, shape, offset, parameter.aliases, parameter.trained))
        offset += -(-parameter.value.numel() // step) * step
        if parameter.trained:
            boundary = offset
    return ParameterLayout(tuple(slots), boundary, offset, dtype, critic)


def check_type(parameter: Parameter, dtype: torch.dtype) -> None:
    if parameter.value.dtype != dtype:
        raise HyperGenError(
            "HG301",
            f"parameter {parameter.name!r} is {parameter.value.dtype}, others are {dtype}: one buffer has one type",
            remedy="Convert the model to one type, for example with `model.float()`, before compiling it.",
        )
