"""`layers.py`: the functions through which several datasets share one pass of the model."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence

from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.program import Program

__all__ = ["layers"]

TEMPLATES = {
    **{f"conv{d}d": ("convolution", "") for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": ("convolution", "") for d in (1, 2, 3)},
    "add": ("itemwise", "+"),
    "subtract": ("itemwise", "-"),
    "multiply": ("itemwise", "*"),
    "divide": ("itemwise", "/"),
}
TENSORS = {"batch_norm": 5, "layer_norm": 4, "group_norm": 4}  # arguments up to the bias of a norm that has one
SIZE = "size"
OPTIONS = {  # those of torch's functions, with their types and defaults
    "stride": (SIZE, "1"),
    "padding": (SIZE, "0"),
    "output_padding": (SIZE, "0"),
    "dilation": (SIZE, "1"),
    "groups": ("int", "1"),
    "momentum": ("float", "0.1"),
    "eps": ("float", "1e-5"),
}
ABSTRACT = {"Iterator": "by_dataset(", "Sequence": "Sequence["}  # what is imported where a text needs it


def layers(program: Program, model: str, gains: bool = False) -> str:
    """The file's text, with what the text of `model.py` calls; with `gains` matrices may have some."""
    calls = layer_calls(model)
    partial = any(lacks_tensor(name, call) for name, found in calls.items() for call in found)
    functions = [function(name, calls[name], gains, partial) for name in sorted(calls)]
    text = "".join(functions)
    return render(
        "layers.py.j2",
        model=prose(program.model),
        header=header(program),
        plain="torch." in text or gains,
        functional="F." in text,
        abstract=Code(", ".join(name for name, sign in ABSTRACT.items() if sign in text)),
        sizes="Sizes" in text,
        items="per_item(" in text,
        channels="per_channel(" in text,
        norms="one_dataset(" in text,
        datasets="by_dataset(" in text,
        rows="every_row(" in text,
        gains=gains,
        partial=partial,
        functions=functions,
    )


def layer_calls(model: str) -> dict[str, list[ast.Call]]:
    """The calls of a text that name a function of `layers`, by that name."""
    found: dict[str, list[ast.Call]] = defaultdict(list)
    for node in ast.walk(ast.parse(model)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_layers(node.func.value):
            found[node.func.attr].append(node)
    return dict(found)


def is_layers(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "layers"


def lacks_tensor(name: str, call: ast.Call) -> bool:
    """Whether a norm is called without a gain or a bias, or without running statistics."""
    given = [argument for argument in call.args if not is_none(argument)]
    return len(given) < TENSORS.get(name, 0)


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def function(name: str, calls: Sequence[ast.Call], gains: bool, partial: bool) -> Code:
    """One function's text, with those of torch's options that some call gives."""
    template, how = TEMPLATES.get(name, (name, ""))
    given = [keyword for call in calls for keyword in call.keywords]
    options = [option for option in OPTIONS if any(keyword.arg == option for keyword in given)]
    declared = [declaration(option, [k.value for k in given if k.arg == option]) for option in options]
    return Code(
        render(
            f"layers/{template}.j2",
            name=Code(name),
            how=Code(how),
            gains=gains,
            partial=partial,
            options=Code("".join(f", {text}" for text in declared)),
            passed=Code("".join(f", {option}={option}" for option in options)),
        ).strip()
    )


def declaration(option: str, values: Sequence[ast.expr]) -> str:
    """An option as a parameter, `stride: int = 1`; calls give `values` for it."""
    kind, default = OPTIONS[option]
    if kind == SIZE:
        found = {type(value.value) if isinstance(value, ast.Constant) else tuple for value in values}
        kind = "int" if found == {int} else "Sizes | str" if str in found else "Sizes"
    return f"{option}: {kind} = {default}"
