"""The layout: every parameter has one place in the buffer, and no two share an element."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypergen_compiler.checker.violations import Violation
from hypergen_compiler.layout import ALIGNMENT, ParameterLayout, Slot
from hypergen_compiler.program import Program

__all__ = ["check_layout"]


def check_layout(program: Program, layout: ParameterLayout) -> list[Violation]:
    """What the layout says of itself, and that it holds the program's parameters and no others."""
    return [*check_places(layout), *check_parts(layout), *check_parameters(program, layout)]


def check_places(layout: ParameterLayout) -> Iterator[Violation]:
    """Aligned, in order, inside of the buffer, and apart."""
    step = ALIGNMENT // layout.dtype.itemsize
    for slot in layout.slots:
        if slot.offset % step or slot.offset < 0:
            yield Violation(f"{slot.name!r} begins at element {slot.offset}, which is no multiple of {step}")
        if slot.offset + slot.size > layout.size:
            yield Violation(f"{slot.name!r} ends behind the buffer's {layout.size} elements")
    for one, other in pairwise(layout.slots):
        if one.offset + one.size > other.offset:
            yield Violation(f"{one.name!r} and {other.name!r} overlap at element {other.offset}")
    for name, end in (("conditioned", layout.conditioned), ("trained", layout.trained), ("size", layout.size)):
        if end % step:
            yield Violation(f"{name} is {end}, which is no multiple of {step}")


def check_parts(layout: ParameterLayout) -> Iterator[Violation]:
    """The buffer's parts follow one another: conditioned, trained, fixed, a critic's."""
    critic = layout.size if layout.critic is None else layout.critic
    if not 0 <= layout.conditioned <= layout.trained <= critic <= layout.size:
        parts = f"{layout.conditioned}, {layout.trained}, {critic}, {layout.size}"
        yield Violation(f"the buffer's parts end at {parts}, which is no order")
    for slot in layout.slots:
        if slot.trained and not is_on_its_side(slot, layout.conditioned, slot.conditioned):
            yield Violation(f"{slot.name!r} is in the wrong part: conditioned ones end at {layout.conditioned}")
        if not is_on_its_side(slot, layout.trained, slot.trained):
            yield Violation(f"{slot.name!r} is in the wrong part: trained ones end at {layout.trained}")
        if slot.gain is not None and not 0 <= slot.gain < len(slot.shape):
            yield Violation(f"{slot.name!r} has gains along dimension {slot.gain}, and {len(slot.shape)} dimensions")


def is_on_its_side(slot: Slot, end: int, is_before: bool) -> bool:
    """Whether a slot begins in the part before `end`, or behind it; an empty one at the very end does both."""
    return (slot.offset < end) == is_before or (slot.offset == end and slot.size == 0)


def check_parameters(program: Program, layout: ParameterLayout) -> Iterator[Violation]:
    slots = {slot.name: slot for slot in layout.slots}
    if len(slots) < len(layout.slots) or set(slots) != {parameter.name for parameter in program.parameters}:
        yield Violation("the layout does not hold each parameter once")
        return
    for parameter in program.parameters:
        slot = slots[parameter.name]
        if slot.shape != tuple(parameter.value.shape) or parameter.value.dtype != layout.dtype:
            yield Violation(f"{slot.name!r} has a place for {list(slot.shape)}, and is {list(parameter.value.shape)}")
        if slot.aliases != parameter.aliases or slot.trained != parameter.trained:
            yield Violation(f"{slot.name!r} is tied or trained otherwise than in the model")
    for entry in program.entries:
        for graph in entry.graphs:
            for node in graph.nodes:
                kind = node.meta.get("kind")
                if node.op == "get_attr" and kind == "parameter" and node.target not in layout.by_name:
                    yield Violation(f"{entry.name} reads {node.target!r}, which has no place in the buffer")
