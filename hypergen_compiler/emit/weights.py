"""`weights.py`: the records of weights and buffers, and the layout of the flat buffer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.literals import indexed_literal, literal, tensor_literal
from hypergen_compiler.emit.names import Namespace
from hypergen_compiler.emit.objective import samples_from_statistics
from hypergen_compiler.emit.records import STATE_NAMES_TAKEN, Field, Record, Records, build_records, join
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout, Slot
from hypergen_compiler.program import Buffer, Program

__all__ = ["all_records", "needs_file", "weights"]

WIDTH = 100  # of a line of names
LARGEST_LITERAL = 8  # elements of a buffer that is written out


def all_records(program: Program, layout: ParameterLayout) -> dict[str, Records]:
    """The records of weights (`w`) and of buffers (`state`)."""
    parameters = {parameter.name: tuple(parameter.value.shape) for parameter in program.parameters}
    buffers = {buffer.name: tuple(buffer.value.shape) for buffer in program.buffers}
    return {
        "w": build_records(program, parameters, "Weights", ""),
        "state": build_records(program, buffers, "State", "State"),
    }


def weights(program: Program, layout: ParameterLayout, records: dict[str, Records], together: bool = False) -> str:
    """The file's text; `together` adds what makes the weights of several datasets for one pass."""
    tree, state = records["w"], records["state"]
    names = buffer_attributes(program, state)
    gained = frozenset(slot.name for slot in layout.slots if together and slot.gain is not None)
    return render(
        "weights.py.j2",
        header=header(program),
        model=prose(program.model),
        records=Code("\n\n\n".join(record_text(record, gained) for record in tree.classes)),
        state_records=Code("".join(f"{record_text(r)}\n\n\n" for r in state.classes if r is not state.root)),
        rows=Code("\n".join(layout_rows(layout))),
        size=Code(str(layout.size)),
        emitted=Code("SIZE" if layout.trained == layout.size else str(layout.trained)),
        conditioned=layout.conditioned if together or layout.conditioned < layout.trained else None,
        critic=layout.critic,
        together=together,
        gains=layout.gains,
        gained_rows=Code("\n".join(gained_rows(layout))),
        step=Code(str(64 // layout.dtype.itemsize)),
        tied=Code(tied_text(layout)),
        dtype=literal(layout.dtype),
        state=Code(state_text(program, state, names)),
        constants=Code("yes") if any(needs_file(value) for value in program.constants.values()) else None,
        buffers=Code("yes") if program.buffers else None,
        from_statistics=samples_from_statistics(program),
        buffer_names=Code(buffer_table(program, names)),
        transient=Code(transient_text(program, names)) if any(not b.persistent for b in program.buffers) else None,
    )


def record_text(record: Record, gained: frozenset[str] = frozenset()) -> str:
    """A NamedTuple class with a `read` that takes it out of named tensors, of which `gained` may be `Gained`."""
    lines = [f"class {record.name}(NamedTuple):", f'    """{stands_for(record)}"""', ""]
    lines += [f"    {field_text(item, record, gained)}" for item in record.fields] or ["    pass"]
    lines += [
        "",
        "    @classmethod",
        f"    def read(cls, tensors: Mapping[str, {'Any' if gained else 'Tensor'}], at: str) -> {record.name}:",
        "        return cls(",
        *(f"            {item.name}={read_text(item)}," for item in record.fields),
        "        )",
    ]
    return "\n".join(lines)


def stands_for(record: Record) -> Code:
    """The modules of a record, as many as fit into a line."""
    names = [prose(path or "the model") for path in record.paths]
    kept = [name for place, name in enumerate(names) if place == 0 or len(", ".join(names[: place + 1])) < WIDTH]
    return Code(", ".join([*kept, *(["..."] if len(kept) < len(names) else [])]))


def field_text(item: Field, record: Record, gained: frozenset[str]) -> str:
    if item.items is not None:
        kinds = [inner.name if inner else tensor_type(path, record, gained) for path, inner in item.items]
        if len(set(kinds)) == 1:
            return f"{item.name}: tuple[{kinds[0]}, ...]  # {len(item.items)} of them"
        return f"{item.name}: tuple[{', '.join(kinds)}]"
    if item.record is not None:
        return f"{item.name}: {item.record.name}"
    shapes = sorted(record.shapes[item.name])
    note = str(list(shapes[0])) if len(shapes) == 1 else "of several shapes"
    return f"{item.name}: {tensor_type(item.path, record, gained)}  # {note}"


def tensor_type(path: str, record: Record, gained: frozenset[str]) -> str:
    """What a tensor of a record can be; `path` is relative to the modules that the record stands for."""
    return "Tensor | Gained" if any(join(owner, path) in gained for owner in record.paths) else "Tensor"


def read_text(item: Field, at: str = "at + ") -> str:
    """How a field is read; `at` stands before its name where the record is one of several modules."""
    if item.items is None:
        return element_text(item.path, item.record, at)
    paths = [path for path, _ in item.items]
    records = {id(record) for _, record in item.items}
    numbered = [path.rpartition(".")[2] for path in paths]
    if len(records) == 1 and len(paths) > 1 and numbered == [str(number) for number in range(len(paths))]:
        prefix = paths[0].rpartition(".")[0]
        return f"tuple({formatted_element(prefix, item.items[0][1], at)} for i in range({len(paths)}))"
    inner = ", ".join(element_text(path, record, at) for path, record in item.items)
    return f"({inner}{',' if len(paths) == 1 else ''})"


def element_text(path: str, record: Record | None, at: str) -> str:
    if record is None:
        return f"tensors[{at}{literal(path)}]"
    return f"{record.name}.read(tensors, {at}{literal(path + '.')})"


def formatted_element(prefix: str, record: Record | None, at: str) -> str:
    if record is None:
        return f"tensors[{at}{indexed_literal(prefix + '.', 'i', '')}]"
    return f"{record.name}.read(tensors, {at}{indexed_literal(prefix + '.', 'i', '.')})"


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


def tied_text(layout: ParameterLayout) -> str:
    pairs = [(alias, slot.name) for slot in layout.slots for alias in slot.aliases]
    return "{" + ", ".join(f"{literal(alias)}: {literal(name)}" for alias, name in pairs) + "}"


def needs_file(value: torch.Tensor) -> bool:
    """Whether a tensor is stored in the data file instead of being written out."""
    small = value.numel() <= LARGEST_LITERAL
    return (not small and not is_uniform(value)) or value.dtype not in LITERAL_TYPES


LITERAL_TYPES = (torch.float32, torch.int64, torch.bool)


def is_uniform(value: torch.Tensor) -> bool:
    return bool((value == value.flatten()[0]).all())


def buffer_attributes(program: Program, state: Records) -> dict[str, str]:
    """The attribute of `State` that registers each buffer: its path with underscores."""
    fields = {str(item.name) for item in state.root.fields}
    names = Namespace(fields | {"read", "training", "T_destination", *STATE_NAMES_TAKEN})
    result = {}
    for buffer in program.buffers:
        steps = state.steps[buffer.name]
        result[buffer.name] = str(steps[0]) if len(steps) == 1 else names.claim(buffer.name.replace(".", "_"), "buffer")
    return result


def state_text(program: Program, state: Records, names: dict[str, str]) -> str:
    """The buffers' types, the body of `State.__init__` and a property for every record of buffers."""
    lines = [f"    {names[buffer.name]}: Tensor" for buffer in program.buffers]
    lines += ["", "    def __init__(self):", "        super().__init__()"]
    if any(needs_file(buffer.value) for buffer in program.buffers):
        lines.append('        stored = torch.load(TENSORS, weights_only=True)["buffers"]')
    lines += [f"        {registration(buffer, names[buffer.name])}" for buffer in program.buffers]
    for item in state.root.fields:
        if item.record is not None or item.items is not None:
            lines += ["", "    @property", f"    def {item.name}(self) -> {property_type(item)}:"]
            lines.append(f"        tensors = self.tensors()\n        return {read_text(item, at='')}")
    return "\n".join(lines)


def registration(buffer: Buffer, attribute: str) -> str:
    value = f"stored[{literal(buffer.name)}]" if needs_file(buffer.value) else tensor_literal(buffer.value)
    return f'self.register_buffer("{attribute}", {value})'


def property_type(item: Field) -> str:
    if item.items is None:
        return str(item.record.name)
    kinds = list(dict.fromkeys(inner.name if inner else "Tensor" for _, inner in item.items))
    return f"tuple[{kinds[0]}, ...]" if len(kinds) == 1 else f"tuple[{' | '.join(kinds)}, ...]"


def buffer_table(program: Program, names: dict[str, str]) -> str:
    """A row for every name of every buffer."""
    pairs = [(name, names[buffer.name]) for buffer in program.buffers for name in (buffer.name, *buffer.aliases)]
    return "\n".join(f"    {literal(name)}: {literal(attribute)}," for name, attribute in pairs)


def transient_text(program: Program, names: dict[str, str]) -> str:
    return literal(tuple(names[buffer.name] for buffer in program.buffers if not buffer.persistent))
