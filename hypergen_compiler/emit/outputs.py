"""What an entry point returns, as an expression, and the NamedTuples for other libraries' containers."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import Namespace, identifier
from hypergen_compiler.emit.records import one_of
from hypergen_compiler.emit.text import Code
from hypergen_compiler.program import Container, Program

__all__ = ["container_names", "field_names", "returned_expression"]

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
    for entry in program.entries:
        for output in (entry.output, entry.evaluation and entry.evaluation.output):
            for container in inside(output):
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
