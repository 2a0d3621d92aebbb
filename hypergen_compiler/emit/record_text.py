"""A record of weights or buffers as a NamedTuple class that reads itself out of named tensors."""

from __future__ import annotations

from dataclasses import replace

from hypergen_compiler.emit.literals import indexed_literal, literal
from hypergen_compiler.emit.records import Field, Record, join
from hypergen_compiler.emit.text import Code, prose

__all__ = ["read_text", "record_text"]

WIDTH = 100  # of a line of names


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
    if item.optional:
        text, _, note = field_text(replace(item, optional=False), record, gained).partition("  # ")
        return f"{text} | None" + (f"  # {note}" if note else "")
    if item.items is not None:
        kinds = [inner.name if inner else tensor_type(path, record, gained) for path, inner in item.items]
        if len(set(kinds)) == 1:
            return f"{item.name}: tuple[{kinds[0]}, ...]  # {len(item.items)} of them"
        return f"{item.name}: tuple[{', '.join(kinds)}]"
    if item.record is not None:
        return f"{item.name}: {item.record.name}"
    shapes = sorted(record.shapes.get(item.name, {()}))
    note = str(list(shapes[0])) if len(shapes) == 1 else "of several shapes"
    return f"{item.name}: {tensor_type(item.path, record, gained)}  # {note}"


def tensor_type(path: str, record: Record, gained: frozenset[str]) -> str:
    """What a tensor of a record can be; `path` is relative to the modules that the record stands for."""
    return "Tensor | Gained" if any(join(owner, path) in gained for owner in record.paths) else "Tensor"


def read_text(item: Field, at: str = "at + ") -> str:
    """How a field is read; `at` stands before its name where the record is one of several modules."""
    if item.optional:
        return optional_text(item, at)
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


def optional_text(item: Field, at: str) -> str:
    """A part that is read where it is there."""
    if item.record is None and item.items is None:
        return f"tensors.get({at}{literal(item.path)})"
    inside = f"{at}{literal(first_tensor(item))}"
    return f"{read_text(replace(item, optional=False), at)} if {inside} in tensors else None"


def first_tensor(item: Field) -> str:
    """The path of a tensor of a field that is there."""
    path, record = item.items[0] if item.items is not None else (item.path, item.record)
    if record is None:
        return path
    return join(path, first_tensor(next(inner for inner in record.fields if not inner.optional)))


def element_text(path: str, record: Record | None, at: str) -> str:
    if record is None:
        return f"tensors[{at}{literal(path)}]"
    return f"{record.name}.read(tensors, {at}{literal(path + '.')})"


def formatted_element(prefix: str, record: Record | None, at: str) -> str:
    if record is None:
        return f"tensors[{at}{indexed_literal(prefix + '.', 'i', '')}]"
    return f"{record.name}.read(tensors, {at}{indexed_literal(prefix + '.', 'i', '.')})"
