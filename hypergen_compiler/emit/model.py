"""`model.py`: every entry point as a function of weights, state and inputs."""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection, Mapping

from hypergen_compiler.checker import check_functions, require
from hypergen_compiler.emit.function import print_function
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import Namespace, identifier, snake
from hypergen_compiler.emit.outputs import container_names, container_texts, output_type
from hypergen_compiler.emit.printed import PrintedFunction
from hypergen_compiler.emit.records import Records
from hypergen_compiler.emit.signatures import function_text
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.fold import Folded, FoldedEntry, fold
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.ops.custom import autograd_classes
from hypergen_compiler.plan.together import Together, rewritten
from hypergen_compiler.program import Container, Program

__all__ = ["model", "model_lines", "name_functions"]

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
    folded, printed = printed_functions(program, records, modules)
    copied = copied_classes(program)
    containers = container_names(program)
    texts = [function_text(function, gained, records, containers) for function in printed]
    texts += [branching_text(entry, containers) for entry in folded.entries if entry.evaluation is not None]
    body = "\n\n\n".join([*copied.values(), *container_texts(program), *texts])
    used = [record.name for tree in records.values() for record in tree.classes if uses(body, record.name)]
    typing = [name for name in ("Any", "NamedTuple") if re.search(rf"\b{name}\b", body)]
    standard = ["import math"] if "math." in body else []
    standard += [f"from typing import {', '.join(typing)}"] if typing else []
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


def printed_functions(
    program: Program, records: dict[str, Records], modules: set[str]
) -> tuple[Folded, list[PrintedFunction]]:
    folded = fold(program, records)
    require("folding", check_functions(program, folded, records), program)
    name_functions(program, folded, records, modules)
    taken = {function.name for function in folded.functions} | {*container_names(program).values(), *modules}
    taken |= copied_classes(program).keys()
    return folded, [print_function(function, program, records, taken) for function in folded.functions]


def copied_classes(program: Program) -> dict[str, str]:
    return autograd_classes(graph for entry in program.entries for graph in entry.graphs)


def model_lines(
    program: Program, records: dict[str, Records], together: Together | None = None
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """For each statement of each function of `model.py`, in order, the user's lines that it came from."""
    with rewritten(together):
        _, printed = printed_functions(program, records, {"layers"} if together else set())
        return {function.function.name: function.lines for function in printed}


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


def branching_text(entry: FoldedEntry, containers: Mapping[Container, Code]) -> str:
    """The entry point whose two modes are two programs."""
    inputs = [identifier(item.name, "x") for item in entry.entry.inputs]
    plain = ", ".join(["w", "state", *inputs])
    declared = ", ".join(
        ["w: Weights", "state: State", *(f"{name}: int" if name == "n" else f"{name}: Tensor" for name in inputs)]
    )
    name = identifier(entry.entry.name, "entry")
    outputs = (entry.entry.output, entry.entry.evaluation and entry.entry.evaluation.output)
    result = " | ".join(dict.fromkeys(output_type(output, containers) for output in outputs))
    return "\n".join(
        [
            f"def {name}({declared}, training: bool = False) -> {result}:",
            f'    """Training and evaluation are different programs.  ({prose(entry.entry.origin)})"""',
            "    if training:",
            f"        return {entry.function.name}({plain}, training)",
            f"    return {entry.evaluation.name}({plain}, training)",
        ]
    )
