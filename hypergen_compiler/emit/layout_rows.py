"""The rows of `LAYOUT` and of the gains, equal numbered blocks as one comprehension."""

from __future__ import annotations

from collections.abc import Sequence

from hypergen_compiler.emit.literals import indexed_literal, literal
from hypergen_compiler.emit.text import Code
from hypergen_compiler.layout import ParameterLayout, Slot

__all__ = ["gained_rows", "layout_rows"]


def layout_rows(layout: ParameterLayout) -> list[str]:
    """One row per slot, runs of equal blocks as a comprehension."""
    rows: list[str] = []
    position = 0
    slots = layout.slots
    while position < len(slots):
        run = repeated_blocks(slots, position)
        if run is None:
            slot = slots[position]
            rows.append(f"    ({literal(slot.name)}, {literal(slot.shape)}, {slot.offset}),")
            position += 1
        else:
            prefix, first, count, period, stride = run
            rows += block_rows(slots[position : position + period], prefix, first, count, stride)
            position += count * period
    return rows


def block_rows(block: Sequence[Slot], prefix: str, first: int, count: int, stride: int) -> list[str]:
    start = block[0].offset
    turn = "i" if first == 0 else f"(i - {first})"
    numbers = f"range({count})" if first == 0 else f"range({first}, {first + count})"
    return [
        "    *(",
        f"        ({indexed_name(prefix)}, shape, {start} + {stride} * {turn} + offset)",
        f"        for i in {numbers}",
        "        for name, shape, offset in (",
        *(
            f"            ({literal(slot.name[len(prefix) + 2 + len(str(first)) :])}, {literal(slot.shape)}, "
            f"{slot.offset - start}),"
            for slot in block
        ),
        "        )",
        "    ),",
    ]


def gained_rows(layout: ParameterLayout) -> list[str]:
    """One row per matrix with gains, runs of equal blocks as a comprehension."""
    rows: list[str] = []
    position = 0
    slots = [slot for slot in layout.slots if slot.gain is not None]
    while position < len(slots):
        prefix, first, count, period, _ = repeated_blocks(slots, position) or ("", 0, 1, 1, 0)
        block = slots[position : position + period]
        if prefix:
            numbers = f"range({count})" if first == 0 else f"range({first}, {first + count})"
            names = [slot.name[len(prefix) + 2 + len(str(first)) :] for slot in block]
            pairs = ", ".join(f"({literal(name)}, {slot.gain})" for name, slot in zip(names, block, strict=True))
            rows.append(f"    *(({indexed_name(prefix)}, at) for i in {numbers} for name, at in ({pairs})),")
        else:
            rows.append(f"    ({literal(block[0].name)}, {block[0].gain}),")
        position += count * period
    return rows


def indexed_name(prefix: str) -> Code:
    return Code(f'{indexed_literal(prefix + ".", "i", ".")[:-1]}{{name}}"')


def repeated_blocks(slots: Sequence[Slot], start: int) -> tuple[str, int, int, int, int] | None:
    """(prefix, first index, count, slots per block, elements per block) of equal numbered blocks from `start`."""
    parts = slots[start].name.split(".")
    for depth, part in enumerate(parts[:-1]):
        if not part.isdigit() or depth == 0:
            continue
        prefix, first = ".".join(parts[:depth]), int(part)
        period = block_length(slots, start, prefix, first)
        if period < 2 or start + 2 * period > len(slots):
            continue
        stride = slots[start + period].offset - slots[start].offset
        count = 1
        while is_block(slots, start, period, prefix, first, count, stride):
            count += 1
        if count > 1:
            return prefix, first, count, period, stride
    return None


def block_length(slots: Sequence[Slot], start: int, prefix: str, number: int) -> int:
    wanted = f"{prefix}.{number}."
    length = 0
    while start + length < len(slots) and slots[start + length].name.startswith(wanted):
        length += 1
    return length


def is_block(slots: Sequence[Slot], start: int, period: int, prefix: str, first: int, count: int, stride: int) -> bool:
    begin = start + count * period
    if block_length(slots, begin, prefix, first + count) != period:
        return False
    head, here = f"{prefix}.{first}", f"{prefix}.{first + count}"
    return all(
        slots[begin + k].name[len(here) :] == slots[start + k].name[len(head) :]
        and slots[begin + k].shape == slots[start + k].shape
        and slots[begin + k].gain == slots[start + k].gain
        and slots[begin + k].offset == slots[start + k].offset + count * stride
        for k in range(period)
    )
