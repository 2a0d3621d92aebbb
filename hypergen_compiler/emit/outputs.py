"""What an entry point returns, as an expression, and the NamedTuples for other libraries' containers."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch.fx

from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import Namespace, identifier
from hypergen_compiler.emit.records import one_of
from hypergen_compiler.emit.text import Code, prose
from hypergen_compiler.program import Affine, Container, Extent, Program

__all__ = ["container_names", "container_texts", "output_type", "returned_expression"]

# What else has a name in model.py, parameters of functions included.
TAKEN = frozenset("Weights State NamedTuple Any Gained CONSTANTS layers training n device size length side".split())


def returned_expression(output: Any, leaf: Callable[[Any], str], classes: Mapping[Container, Code]) -> str:
    """The expression that rebuilds a returned structure.

    `leaf` gives those of its tensors and plain values, `classes` are the names of its containers.
    """

    def nested(item: Any) -> str:
        if isinstance(item, Container):
            fields = zip(field_names(item), item.values, strict=True)
            return f"{classes[item]}({', '.join(f'{name}={nested(value)}' for name, value in fields)})"
        if isinstance(item, tuple):
            return f"({', '.join(map(nested, item))}{',' if len(item) == 1 else ''})"
        if isinstance(item, list):
            return f"[{', '.join(map(nested, item))}]"
        if isinstance(item, dict):
            return "{" + ", ".join(f"{literal(key)}: {nested(value)}" for key, value in item.items()) + "}"
        return leaf(item)

    if type(output) is tuple and len(output) > 1:
        return ", ".join(map(nested, output))
    return nested(output)


def output_type(output: Any, classes: Mapping[Container, Code]) -> str:
    """The type of a returned structure, with `classes` as the names of its containers."""
    if isinstance(output, torch.fx.Node):
        return "Tensor"
    if isinstance(output, Container):
        return str(classes[output])
    if isinstance(output, tuple):
        return f"tuple[{', '.join(output_type(item, classes) for item in output) or '()'}]"
    if isinstance(output, list):
        return f"list[{one_type([output_type(item, classes) for item in output])}]"
    if isinstance(output, dict):
        keys = one_type([output_type(key, classes) for key in output])
        return f"dict[{keys}, {one_type([output_type(item, classes) for item in output.values()])}]"
    if isinstance(output, bool | int | float | str):
        return type(output).__name__
    if isinstance(output, Affine | Extent):
        return "int"
    return "None" if output is None else "Any"


def one_type(types: list[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "Any"


def container_texts(program: Program) -> list[str]:
    """A NamedTuple for every container class that the entry points return."""
    classes = container_names(program)
    types: dict[Container, list[list[str]]] = {}
    for container in returned_containers(program):
        types.setdefault(container, []).append([output_type(value, classes) for value in container.values])
    texts, later = [], dict(classes)
    for container, name in reversed(classes.items()):  # what others hold comes first
        texts.append(container_text(name, container, types[container], set(later.values())))
        del later[container]
    return texts


def container_text(name: Code, container: Container, types: list[list[str]], later: Collection[str]) -> str:
    """The class; types that name one of those in `later`, itself among them, are quoted."""
    columns = [one_type(list(column)) for column in zip(*types, strict=True)]
    columns = [f'"{column}"' if {*re.findall(r"\w+", column)} & set(later) else column for column in columns]
    fields = "\n".join(f"    {field}: {kind}" for field, kind in zip(field_names(container), columns, strict=True))
    return f'class {name}(NamedTuple):\n    """The fields of {prose(container.name)}."""\n\n{fields or "    pass"}'


def returned_containers(program: Program) -> Iterator[Container]:
    for entry in program.entries:
        for output in (entry.output, entry.evaluation and entry.evaluation.output):
            yield from inside(output)


def field_names(container: Container) -> list[Code]:
    """The fields' own names where a NamedTuple can have them, otherwise free ones like them."""
    usable = {name for name in container.fields if is_field(name)}
    names = Namespace(usable)
    return [Code(name) if name in usable else names.claim(name, "field") for name in container.fields]


def is_field(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")


def container_names(program: Program) -> dict[Container, Code]:
    """The printed name of every container class that the entry points return; those of other fields are others."""
    entries = {entry.name for entry in program.entries}
    names = Namespace(TAKEN | record_names(program) | entries)
    found: dict[Container, Code] = {}
    for container in returned_containers(program):
        if container not in found:
            found[container] = names.claim(container.name, "Output")
    return found


def record_names(program: Program) -> set[str]:
    """What classes of records may be called: their modules' classes, and one of what a list of modules is called."""
    words = {word for module in program.modules for word in module.path.split(".")}
    lists = {"".join(part.title() for part in one_of(word).split("_")) for word in words if word}
    classes = {str(identifier(name, "Part")) for name in {*lists, *(module.name for module in program.modules)}}
    return classes | {f"{name}State" for name in classes}


def inside(output: Any) -> Iterator[Container]:
    if isinstance(output, Container):
        yield output
        output = output.values
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        for item in output:
            yield from inside(item)
