"""`layers.py`: the functions through which several datasets share one pass of the model."""

from __future__ import annotations

from collections.abc import Iterable

from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.program import Program

__all__ = ["layers"]

TEMPLATES = {
    **{f"conv{d}d": ("convolution", f"conv{d}d") for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": ("transposed_convolution", f"conv_transpose{d}d") for d in (1, 2, 3)},
    "add": ("itemwise", "+"),
    "subtract": ("itemwise", "-"),
    "multiply": ("itemwise", "*"),
    "divide": ("itemwise", "/"),
}
ABSTRACT = {"Iterator": "by_dataset(", "Sequence": "Sequence["}  # what is imported where a text needs it


def layers(program: Program, used: Iterable[str], gains: bool = False) -> str:
    """The file's text, with the functions that the model calls; with `gains` matrices may have some."""
    functions = [function(name, gains) for name in sorted(set(used))]
    text = "".join(functions)
    return render(
        "layers.py.j2",
        model=prose(program.model),
        header=header(program),
        plain="torch." in text or gains,
        functional="F." in text,
        abstract=Code(", ".join(name for name, sign in ABSTRACT.items() if sign in text)),
        sizes="Sizes" in text,
        channels="per_channel(" in text,
        norms="one_dataset(" in text,
        datasets="by_dataset(" in text,
        rows="every_row(" in text,
        gains=gains,
        functions=functions,
    )


def function(name: str, gains: bool) -> Code:
    """One function's text."""
    template, how = TEMPLATES.get(name, (name, ""))
    return Code(render(f"layers/{template}.j2", name=Code(name), how=Code(how), gains=gains).strip())
