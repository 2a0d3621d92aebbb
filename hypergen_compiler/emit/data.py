"""`data.py`: files to tensors, and what becomes of them: `episodes.py` and `pictures.py`."""

from __future__ import annotations

import torch

from hypergen_compiler.emit.batches import is_picture
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Input, Program

__all__ = ["data", "episodes", "pictures"]


def data(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What reads the user's files and checks them against the compiled shapes."""
    inputs = [value for value in program.entry(program.loss).inputs if value.is_tensor]
    return render(
        "data.py.j2",
        model=prose(program.model),
        header=header(program),
        loss=identifier(program.loss),
        fields=[field(value) for value in inputs],
        sequences=any(value.dtype not in FLOATS and len(value.shape) == 2 for value in inputs),
    )


def episodes(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What draws small datasets from all of the data."""
    return render("episodes.py.j2", model=prose(program.model), header=header(program))


def pictures(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What shows samples, for a model of pictures."""
    if not is_picture(program, plan):
        return None
    channels = plan.encoder[0].shape[0]
    return render("pictures.py.j2", model=prose(program.model), header=header(program), channels=channels)


FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool)


def field(value: Input) -> Code:
    parts = [value.name, tuple(value.shape[1:]), value.dtype]
    if value.vocabulary is not None:
        parts.append(value.vocabulary)
    return Code(f"Field({', '.join(map(literal, parts))})")
