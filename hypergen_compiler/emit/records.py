"""The tree of NamedTuples that mirrors the module tree, for weights and again for buffers.

A user's module becomes a record, a list of modules a tuple, and the layers that torch.nn brings are spread into their
owner's fields: `stem.weight` is `w.stem_weight`, `blocks.0.conv1.weight` is `w.blocks[0].conv1_weight`. A batch
normalisation, which has weights and buffers, is a record in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from hypergen_compiler.emit.names import Namespace, identifier, snake
from hypergen_compiler.emit.text import Code
from hypergen_compiler.program import Module, Program

__all__ = ["Field", "Record", "Records", "Steps", "build_records", "join", "one_of", "reach"]

Steps = tuple["str | int", ...]
TUPLE_METHODS = frozenset({"count", "index"})
FIELD_NAMES_TAKEN = TUPLE_METHODS | {"read"}
# The root's fields are a module's.
STATE_NAMES_TAKEN = frozenset({"tensors", "to_state_dict", "copied", *dir(torch.nn.Module())})
WHOLE_LAYERS = frozenset({"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"})  # layers that are functions of their own
MODULE_NAMES_TAKEN = frozenset(
    """Weights State Tensor Gained NamedTuple Mapping Path Any LAYOUT SIZE EMITTED CONDITIONED GAINED GAINS CRITIC
    BUFFERS TENSORS TIED CONSTANTS TRANSIENT unpack unpack_together factors along changed pack to_state_dict
    initial_weights nn torch training F n cls tensors at i self layers""".split()
)


@dataclass
class Field:
    """One field of a record: a tensor (`record` None), a record, or with `items` a tuple of either.

    `path` is relative to the record's own module path. An `optional` one is None for modules that have no such part.
    """

    name: Code
    path: str
    record: Record | None = None
    items: list[tuple[str, Record | None]] | None = None
    optional: bool = False

    def signature(self) -> tuple[object, ...]:
        if self.optional:
            return self.name, self.path, "optional"
        return self.name, self.path, id(self.record), tuple((path, id(item)) for path, item in self.items or ())


@dataclass(eq=False)
class Record:
    """A NamedTuple class; `paths` are the modules that it stands for, `shapes` those of its tensors in all of them."""

    name: Code
    fields: list[Field]
    paths: list[str] = field(default_factory=list)
    shapes: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)

    def signature(self) -> tuple[object, ...]:
        return tuple(item.signature() for item in self.fields)


@dataclass
class Records:
    """All records of one kind: `steps` leads from the root to each tensor, `nodes` to each module that is a record.

    `optional` are the parts that a module has or lacks, by its path; None where that is not decided yet.
    """

    root: Record
    classes: list[Record]
    steps: dict[str, Steps]
    nodes: dict[str, tuple[Steps, Record]]
    optional: Mapping[str, Sequence[str]] | None = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Whether there is a tensor of that name, or one inside of a module of that name."""
        return any(name == path or name.startswith(f"{path}.") for name in self.steps)

    def may_lack(self, paths: Iterable[str], part: str) -> bool:
        """Whether the records of modules say that they may have no such part."""
        return self.optional is None or all(part in self.optional.get(path, ()) for path in paths)

    def is_optional(self, tensor: str) -> bool:
        """Whether a tensor is of a part that other modules lack."""
        parts = [join(path, part) for path, some in (self.optional or {}).items() for part in some]
        return any(tensor == part or tensor.startswith(f"{part}.") for part in parts)

    def base(self, path: str) -> str:
        """The nearest module at or above `path` that is a record."""
        while path not in self.nodes:
            path = path.rpartition(".")[0]
        return path


def reach(variable: str, steps: Iterable[str | int]) -> Code:
    """The expression that follows steps from a variable: `w.blocks[0].conv1_weight`."""
    return Code(variable + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps))


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


def one_of(plural: str) -> str:
    """The singular of a list's name."""
    if plural.endswith("ies"):
        return plural[:-3] + "y"
    return plural[:-1] if plural.endswith("s") and not plural.endswith("ss") and len(plural) > 2 else plural


def relative(path: str, owner: str) -> str:
    return path[len(owner) + 1 :] if owner else path


def join(owner: str, path: str) -> str:
    return f"{owner}.{path}" if owner else path
