"""The signature and the docstring of a printed function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch.fx

from hypergen_compiler.emit.numbers import extent_expression
from hypergen_compiler.emit.outputs import output_type
from hypergen_compiler.emit.printed import PrintedFunction
from hypergen_compiler.emit.records import Records
from hypergen_compiler.emit.text import Code, prose
from hypergen_compiler.fold import Const, Function, Part, Weight
from hypergen_compiler.fold.items import Region
from hypergen_compiler.program import Affine, Container, Extent

__all__ = ["function_text"]

PLAIN = ("bool", "int", "float", "str")  # types of fixed inputs


def function_text(
    printed: PrintedFunction,
    gained: Collection[str],
    records: dict[str, Records],
    containers: Mapping[Container, Code],
) -> str:
    """A function; `gained` are the matrices that may come as `Gained`."""
    function = printed.function
    parameters = ", ".join(annotated(printed, place, gained, records) for place in range(len(printed.parameters)))
    lines = ["@torch.no_grad()"] if function.entry is not None and not function.model.grad else []
    lines += [f"def {function.name}({parameters}){result_annotation(function, containers)}:"]
    lines.append(f'    """{docstring(printed)}"""')
    lines += [f"    {line}" for line in printed.body] or ["    pass"]
    return "\n".join(lines)


def annotated(printed: PrintedFunction, place: int, gained: Collection[str], records: dict[str, Records]) -> str:
    function, name = printed.function, printed.parameters[place]
    is_entry = function.entry is not None
    if name == "training":
        return "training: bool = False" if is_entry else "training: bool"
    if name == "device" and function.takes_device:
        return "device: torch.device"
    spaces = function.spaces
    if place < len(spaces):
        return f"{name}: {record_type(function, name, records)}"
    tensors = len(function.model.arguments)
    if place >= len(spaces) + tensors:
        return f"{name}: {number_type(function, place - len(spaces) - tensors)}"
    leaf = function.model.arguments[place - len(spaces)]
    if isinstance(leaf, Part):
        return f"{name}: {records[leaf.space].nodes[leaf.path][1].name}"
    item = leaf.meta.get("input") if isinstance(leaf, torch.fx.Node) else None
    if item is not None and not item.is_tensor:
        kind = "int" if item.is_batch else type(item.value).__name__
        return f"{name}: {kind}" if kind in PLAIN else name
    if isinstance(leaf, Weight) and any(is_gained(member, place - len(spaces), gained) for member in function.members):
        return f"{name}: Tensor | Gained"
    if place - len(spaces) in function.optional_arguments:
        has_default = place >= len(spaces) + tensors - function.defaults
        return f"{name}: Tensor | None = None" if has_default else f"{name}: Tensor | None"
    return f"{name}: Tensor"


def is_gained(member: Region, place: int, gained: Collection[str]) -> bool:
    """Whether an argument of one running of a function is a matrix that may come as `Gained`."""
    leaf = member.arguments[place]
    return isinstance(leaf, Weight) and leaf.space == "w" and leaf.name in gained


def number_type(function: Function, place: int) -> str:
    """Of a number that differs between members; the batch size and the free size are integers."""
    if place >= len(function.parameters):
        return "int"
    i, j = function.parameters[place][0]
    values = [member.body[i].leaves[j].value for member in function.members]
    return "float" if any(isinstance(value, float) for value in values) else "int"


def record_type(function: Function, space: str, records: dict[str, Records]) -> str:
    tree = records[space]
    classes = {tree.nodes[member.bases[space]][1].name for member in function.members}
    return " | ".join(sorted(classes))


def result_annotation(function: Function, containers: Mapping[Container, Code]) -> str:
    if function.entry is not None:
        return f" -> {output_type(function.entry.entry.output, containers)}"
    results = function.model.results
    if not results:
        return " -> None"
    return " -> Tensor" if len(results) == 1 else f" -> tuple[{', '.join('Tensor' for _ in results)}]"


def docstring(printed: PrintedFunction) -> Code:
    """`[n, 1, 28, 28] -> [n, 16], [n, 16]`, and where the user wrote the function."""
    function = printed.function
    scope = function.model.scope or function.model.inner
    shapes = f"{signature_shapes(function)} -> {result_shapes(function)}".strip()
    origin = function.entry.entry.origin if function.entry is not None else scope.where
    return Code(f"{shapes}  ({prose(origin)})" if origin else shapes)


def signature_shapes(function: Function) -> str:
    texts = []
    for place, leaf in enumerate(function.model.arguments):
        if not isinstance(leaf, Part):
            given = [member.arguments[place] for member in function.members]
            texts.append(common_shape([leaf] if function.entry is not None else given, function))
    return ", ".join(text for text in texts if text)


def result_shapes(function: Function) -> str:
    columns = zip(*(member.results for member in function.members), strict=False)
    return ", ".join(common_shape(list(column), function) for column in columns)


def common_shape(nodes: Sequence, function: Function) -> str:
    """The shape that tensors share, `[n, ...]` where they differ, nothing for what is no tensor."""
    shapes = {node.meta["shape"] for node in nodes if isinstance(node, torch.fx.Node) and "shape" in node.meta}
    if not shapes:
        return "weight" if nodes and isinstance(nodes[0], Weight | Const) else ""
    if len({len(shape) for shape in shapes}) > 1:
        return "[...]"
    columns = zip(*shapes, strict=True)
    name = function.model.root_entry.free_size or "size"
    return "[" + ", ".join(size(column[0], name) if len(set(column)) == 1 else "_" for column in columns) + "]"


def size(dimension: int | Affine | Extent, name: str) -> str:
    if isinstance(dimension, Extent):
        return extent_expression(dimension, name).text
    if not isinstance(dimension, Affine):
        return str(dimension)
    text = "n" if dimension.slope == 1 else f"{dimension.slope}n"
    return f"{text} + {dimension.offset}" if dimension.offset else text
