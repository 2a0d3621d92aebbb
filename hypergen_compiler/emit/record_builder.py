"""Builds the records of a program: which modules are records, what their fields are called, which are of one class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hypergen_compiler.emit.names import Namespace, identifier, snake
from hypergen_compiler.emit.records import STATE_NAMES_TAKEN, Field, Record, Records, Steps, join, one_of, relative
from hypergen_compiler.emit.text import Code
from hypergen_compiler.program import Module, Program

__all__ = ["build_records"]

TUPLE_METHODS = frozenset({"count", "index"})
FIELD_NAMES_TAKEN = TUPLE_METHODS | {"read"}
WHOLE_LAYERS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})  # layers that are functions of their own
MODULE_NAMES_TAKEN = frozenset(
    """Weights State Tensor Gained NamedTuple Mapping Path Any LAYOUT SIZE EMITTED CONDITIONED GAINED GAINS CRITIC
    BUFFERS TENSORS TIED CONSTANTS TRANSIENT unpack unpack_together factors along changed pack to_state_dict
    initial_weights nn torch training F n cls tensors at i self layers""".split()
)


def build_records(
    program: Program,
    shapes: dict[str, tuple[int, ...]],
    root: str,
    suffix: str,
    optional: Mapping[str, Sequence[str]] | None = None,
) -> Records:
    """The records of the tensors in `shapes`, named after the modules' classes with `suffix` behind.

    `optional` names parts of modules that other modules of their class lack: those are fields of their own.
    """
    builder = Builder(program, shapes, suffix, optional or {})
    record = builder.record("", (), root)
    return Records(record, list(in_order(record)), builder.steps, builder.nodes, optional or {})


def in_order(record: Record) -> Iterator[Record]:
    """A record behind those that its fields are, each once."""
    known: list[Record] = []

    def visit(one: Record) -> None:
        for item in one.fields:
            for inner in (item.record, *(inner for _, inner in item.items or ())):
                if inner is not None and inner not in known:
                    visit(inner)
        if one not in known:
            known.append(one)

    visit(record)
    return iter(known)


class Builder:
    def __init__(
        self, program: Program, shapes: dict[str, tuple[int, ...]], suffix: str, optional: Mapping[str, Sequence[str]]
    ):
        self.optional = optional
        self.modules = {module.path: module for module in program.modules}
        self.shapes, self.suffix = shapes, suffix
        self.children: dict[str, list[str]] = {}
        self.tensors: dict[str, list[str]] = {}
        for name in shapes:
            self.register(name)
        self.known: dict[tuple[object, ...], Record] = {}
        self.class_names = Namespace(set(MODULE_NAMES_TAKEN))
        self.steps: dict[str, Steps] = {}
        self.nodes: dict[str, tuple[Steps, Record]] = {}

    def register(self, name: str) -> None:
        path = name.rpartition(".")[0]
        self.tensors.setdefault(path, []).append(name)
        while path:
            parent = path.rpartition(".")[0]
            siblings = self.children.setdefault(parent, [])
            if path not in siblings:
                siblings.append(path)
            path = parent

    def record(self, path: str, steps: Steps, name: str | None = None) -> Record:
        """The record of a module; equal ones share a class."""
        fields: list[Field] = []
        taken = FIELD_NAMES_TAKEN | (STATE_NAMES_TAKEN if name == "State" else frozenset())
        names = Namespace(taken)
        self.fill(path, path, "", steps, fields, names)
        fields += [self.optional_field(path, part, steps, names) for part in self.optional.get(path, ())]
        made = Record(Code(""), fields)
        label = name or self.class_label(path) + self.suffix
        key = (label, made.signature())
        if key not in self.known:
            made.name = Code(name) if name else self.class_names.claim(label, "Part")
            self.known[key] = made
        record = self.known[key]
        record.paths.append(path)
        for item, own in zip(record.fields, fields, strict=True):
            tensor = join(path, item.path)
            item.record, item.items = item.record or own.record, item.items or own.items
            if tensor in self.shapes:
                record.shapes.setdefault(item.name, set()).add(self.shapes[tensor])
        self.nodes[path] = (steps, record)
        return record

    def optional_field(self, path: str, part: str, steps: Steps, names: Namespace) -> Field:
        """A part that other modules of the class lack, or that this one does."""
        inside = join(path, part)
        if self.is_tuple(inside) and (inside in self.tensors or inside in self.children):
            fields: list[Field] = []
            self.fill_tuple(path, inside, part, steps, fields, names)
            return replace(fields[0], optional=True)
        name = names.claim(part, "part")
        own = (*steps, str(name))
        if inside in self.shapes:
            self.steps[inside] = own
        has_tensors = inside in self.tensors or inside in self.children
        return Field(name, part, self.record(inside, own) if has_tensors else None, optional=True)

    def class_label(self, path: str) -> str:
        """The class's name; for a container of torch's own, one of what its list is called: `layers` to `Layer`."""
        module = self.modules.get(path)
        if module is not None and (not module.builtin or module.name in WHOLE_LAYERS):
            return identifier(module.name, "Part")
        words = [part for part in path.split(".") if not part.isdigit()]
        return identifier("".join(word.title() for word in one_of(words[-1]).split("_")) if words else "Part", "Part")

    def label(self, path: str) -> str:
        """A child's name; a numbered one says what it is: `conv0`, `linear2`."""
        name = path.rpartition(".")[2]
        if not name.isdigit() or path not in self.modules:
            return name
        kind = snake(self.modules[path].name)
        known = next((word for word in ("conv", "norm", "linear", "embedding") if word in kind), None)
        words = [word for word in kind.split("_") if word.isidentifier()]
        return f"{known or (words[-1] if words else 'part')}{name}"

    def fill(self, owner: str, path: str, prefix: str, steps: Steps, fields: list[Field], names: Namespace) -> None:
        """Adds the fields of a module to its owner's, each name behind `prefix`."""
        optional = self.optional.get(path, ())
        for tensor in self.tensors.get(path, ()):
            if relative(tensor, path) in optional:
                continue
            name = names.claim(prefix + tensor.rpartition(".")[2], "weight")
            fields.append(Field(name, relative(tensor, owner)))
            self.steps[tensor] = (*steps, str(name))
        for child in self.children.get(path, ()):
            if relative(child, path) in optional:
                continue
            name = prefix + self.label(child)
            if self.is_tuple(child):
                self.fill_tuple(owner, child, name, steps, fields, names)
            elif self.is_spread(child):
                self.fill(owner, child, name + "_", steps, fields, names)
            else:
                claimed = names.claim(name, "part")
                fields.append(Field(claimed, relative(child, owner), self.record(child, (*steps, str(claimed)))))

    def fill_tuple(self, owner: str, path: str, name: str, steps: Steps, fields: list[Field], names: Namespace) -> None:
        claimed = names.claim(name, "parts")
        items: list[tuple[str, Record | None]] = []
        for tensor in self.tensors.get(path, ()):
            self.steps[tensor] = (*steps, str(claimed), len(items))
            items.append((relative(tensor, owner), None))
        for child in self.children.get(path, ()):
            items.append((relative(child, owner), self.record(child, (*steps, str(claimed), len(items)))))
        fields.append(Field(claimed, relative(path, owner), items=items))

    def is_tuple(self, path: str) -> bool:
        """A list whose every element has tensors; in a Sequential they must be more than single layers of torch.nn."""
        module = self.modules.get(path)
        if module is None or not module.container:
            return False
        if module.name == "ParameterList":
            return True
        inside = [m for m in self.modules.values() if m.path.rpartition(".")[0] == path]
        holding = self.children.get(path, [])
        if len(holding) != len(inside) or not holding or module.name == "ModuleDict":
            return False
        return module.name == "ModuleList" or not any(self.is_spread(child) for child in holding)

    def is_spread(self, path: str) -> bool:
        """Whether a module's tensors stand among its owner's fields."""
        module = self.modules.get(path, Module(path, "", True))
        if module.name in WHOLE_LAYERS:
            return False
        return module.builtin and not (module.container and self.children.get(path) and self.is_tuple(path))
