"""What an entry point returns, as an expression, and the NamedTuples for other libraries' containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch.fx

from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.program import Container, Program

__all__ = ["containers", "returned_expression"]


def returned_expression(output: Any, tensor: Callable[[torch.fx.Node], str]) -> str:
    """The expression that rebuilds a returned structure from the variables that hold its tensors."""
    if type(output) is tuple and len(output) > 1:
        return ", ".join(nested(item, tensor) for item in output)
    return nested(output, tensor)


def nested(output: Any, tensor: Callable[[torch.fx.Node], str]) -> str:
    if isinstance(output, torch.fx.Node):
        return tensor(output)
    if isinstance(output, Container):
        fields = zip(output.fields, output.values, strict=True)
        inner = ", ".join(f"{identifier(name, 'field')}={nested(item, tensor)}" for name, item in fields)
        return f"{identifier(output.name, 'Output')}({inner})"
    if isinstance(output, tuple):
        inner = ", ".join(nested(item, tensor) for item in output)
        return f"({inner},)" if len(output) == 1 else f"({inner})"
    if isinstance(output, list):
        return f"[{', '.join(nested(item, tensor) for item in output)}]"
    if isinstance(output, dict):
        return "{" + ", ".join(f"{literal(key)}: {nested(item, tensor)}" for key, item in output.items()) + "}"
    return literal(output)


def containers(program: Program) -> dict[str, Container]:
    """Every container class that the entry points return, by its printed name."""
    found: dict[str, Container] = {}
    for entry in program.entries:
        for container in inside(entry.output):
            found.setdefault(identifier(container.name, "Output"), container)
    return found


def inside(output: Any) -> Iterator[Container]:
    if isinstance(output, Container):
        yield output
        output = output.values
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        for item in output:
            yield from inside(item)
