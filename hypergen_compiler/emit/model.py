"""`model.py`: every entry point as a function of weights, state and inputs."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Sequence

import torch.fx

from hypergen_compiler.emit.expressions import extent_expression
from hypergen_compiler.emit.function import PrintedFunction, print_function
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import Namespace, identifier, snake
from hypergen_compiler.emit.outputs import container_names, field_names
from hypergen_compiler.emit.records import Records
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.fold import Const, Folded, Function, Part, Weight, fold
from hypergen_compiler.fold.items import Region
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.ops.custom import autograd_classes
from hypergen_compiler.program import Affine, Extent, Program
from hypergen_compiler.together import Together, rewritten

__all__ = ["model", "name_functions"]

TAKEN = frozenset(dir(builtins)) | frozenset(
    "torch math F Tensor Gained NamedTuple Any Weights State CONSTANTS w state n training".split()
)
# What torch 2.13 leaves without types; a type checker follows no value through them.
UNTYPED = frozenset(
    "Tensor.norm Tensor.split Tensor.unflatten Tensor.unique Tensor.unique_consecutive "
    "torch.atleast_1d torch.atleast_2d torch.atleast_3d torch.block_diag torch.broadcast_tensors torch.cdist "
    "torch.norm torch.tensordot torch.unique F.sigmoid F.softsign F.tanh F.tanhshrink F.upsample".split()
)
METHODS_OF_A_CLASS = frozenset({"forward", "__call__", "__init__", "_forward", "inner"})


def model(
    program: Program, layout: ParameterLayout, records: dict[str, Records], together: Together | None = None
) -> str:
    """The file's text: NamedTuples for outputs, then functions, callees before callers.

    With `together` its calls are written as those of `layers.py`.
    """
    with rewritten(together):
        gained = together.gains.keys() if together else ()
        return model_text(program, records, {"layers"} if together else set(), gained)


def model_text(program: Program, records: dict[str, Records], modules: set[str], gained: Collection[str] = ()) -> str:
    folded = fold(program, records)
    name_functions(program, folded, records, modules)
    copied = autograd_classes(graph for entry in program.entries for graph in entry.graphs)
    taken = {function.name for function in folded.functions} | {*copied, *container_names(program).values(), *modules}
    printed = [print_function(function, program, records, taken) for function in folded.functions]
    texts = [function_text(function, gained, records) for function in printed]
    for entry in folded.entries:
        if entry.evaluation is not None:
            texts.append(branching_text(entry))
    classes = list(copied.values())
    classes += [container_text(name, container) for container, name in container_names(program).items()]
    body = "\n\n\n".join([*classes, *texts])
    used = [record.name for tree in records.values() for record in tree.classes if uses(body, record.name)]
    lines = {"math.": "import math", "(NamedTuple)": "from typing import Any, NamedTuple"}
    standard = [line for sign, line in lines.items() if sign in body]
    others = [name for name, sign in (("CONSTANTS", "CONSTANTS["), ("Gained", "| Gained")) if sign in body]
    return render(
        "model.py.j2",
        header=header(program),
        untyped=Code(", ".join(untyped_calls(program))),
        model=prose(program.model),
        frozen=Code("\n".join(f"- {prose(sentence)}" for sentence in program.frozen)) if program.frozen else None,
        imports=Code(", ".join(sorted({"State", "Weights", *used, *others}))),
        layers=bool(modules),
        functional=Code("import torch.nn.functional as F\n" if "F." in body else ""),
        standard=Code("\n".join([*standard, "", ""]) if standard else ""),
        body=Code(body),
    )


def untyped_calls(program: Program) -> list[str]:
    """The names of the called functions for which torch has no types, as far as they are known."""
    graphs = [graph for entry in program.entries for graph in entry.graphs]
    called = {str(node.meta["name"]) for graph in graphs for node in graph.nodes if "name" in node.meta}
    return sorted(name for name in called if name in UNTYPED or name.startswith("torch.linalg."))


def uses(body: str, name: str) -> bool:
    return f": {name}" in body or f"| {name}" in body


def name_functions(
    program: Program, folded: Folded, records: dict[str, Records], modules: Collection[str] = ()
) -> None:
    """Entry points keep their names; `forward` becomes the class's name; equal names get the class in front."""
    classes = {record.name for tree in records.values() for record in tree.classes}
    names = Namespace(TAKEN | classes | set(modules) | set(container_names(program).values()))
    for entry in folded.entries:
        entry_name = identifier(entry.entry.name, "entry")
        names.taken.add(entry_name)
        if entry.evaluation is None:
            entry.function.name = entry_name
        else:
            entry.function.name = names.claim(f"{entry_name}_in_training")
            entry.evaluation.name = names.claim(f"{entry_name}_in_evaluation")
    for function in folded.functions:
        if function.name:
            continue
        scope = function.model.scope
        owner = snake(scope.owner) if scope.owner else ""
        base = owner if scope.function in METHODS_OF_A_CLASS and owner else snake(scope.function)
        if base in names.taken and owner and not base.startswith(owner):
            base = f"{owner}_{base}"
        function.name = names.claim(base, "function")


def function_text(printed: PrintedFunction, gained: Collection[str], records: dict[str, Records]) -> str:
    """A function; `gained` are the matrices that may come as `Gained`."""
    function = printed.function
    parameters = ", ".join(annotated(printed, place, gained, records) for place in range(len(printed.parameters)))
    lines = ["@torch.no_grad()"] if function.entry is not None and not function.model.grad else []
    lines += [f"def {function.name}({parameters}){result_annotation(function)}:"]
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
    tensors = len(signature_leaves(function))
    if place >= len(spaces) + tensors:
        return f"{name}: {number_type(function, place - len(spaces) - tensors)}"
    leaf = signature_leaves(function)[place - len(spaces)]
    if isinstance(leaf, Part):
        return f"{name}: {records[leaf.space].nodes[leaf.path][1].name}"
    item = leaf.meta.get("input") if isinstance(leaf, torch.fx.Node) else None
    if item is not None and not item.is_tensor:
        return f"{name}: int" if item.name == "n" else name
    if isinstance(leaf, Weight) and any(is_gained(member, place - len(spaces), gained) for member in function.members):
        return f"{name}: Tensor | Gained"
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


def signature_leaves(function: Function) -> list:
    if function.entry is not None:
        return [node for node in function.model.entry.graph.nodes if node.op == "placeholder"]
    return function.model.arguments


def record_type(function: Function, space: str, records: dict[str, Records]) -> str:
    tree = records[space]
    classes = {tree.nodes[member.bases[space]][1].name for member in function.members}
    return " | ".join(sorted(classes))


def result_annotation(function: Function) -> str:
    entry = function.entry
    if entry is not None and not isinstance(entry.entry.output, torch.fx.Node):
        output = entry.entry.output
        if type(output) is tuple and all(isinstance(item, torch.fx.Node) for item in output):
            return f" -> tuple[{', '.join('Tensor' for _ in output)}]"
        return ""
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
    leaves = [leaf for leaf in signature_leaves(function) if not isinstance(leaf, Part)]
    places = [function.model.arguments.index(leaf) if leaf in function.model.arguments else None for leaf in leaves]
    texts = []
    for leaf, place in zip(leaves, places, strict=True):
        if place is None or function.entry is not None:
            members = [leaf]
        else:
            members = [member.arguments[place] for member in function.members]
        texts.append(common_shape(members, function))
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


def branching_text(entry) -> str:
    """The entry point whose two modes are two programs."""
    inputs = [identifier(item.name, "x") for item in entry.entry.inputs]
    plain = ", ".join(["w", "state", *inputs])
    declared = ", ".join(
        ["w: Weights", "state: State", *(f"{name}: int" if name == "n" else f"{name}: Tensor" for name in inputs)]
    )
    name = identifier(entry.entry.name, "entry")
    return "\n".join(
        [
            f"def {name}({declared}, training: bool = False):",
            f'    """Training and evaluation are different programs.  ({prose(entry.entry.origin)})"""',
            "    if training:",
            f"        return {entry.function.name}({plain}, training)",
            f"    return {entry.evaluation.name}({plain}, training)",
        ]
    )


def container_text(name: str, container) -> str:
    fields = "\n".join(f"    {field}: Any" for field in field_names(container))
    return f'class {name}(NamedTuple):\n    """The fields of {prose(container.name)}."""\n\n{fields or "    pass"}'
