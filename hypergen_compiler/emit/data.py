"""The user's data: its sources, and the small datasets that training draws from it; each function makes a module."""

from __future__ import annotations

import math

from hypergen_compiler.emit.batches import is_grouped, is_picture, reads_pictures, reads_text, source_kinds, token_bytes
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Input, Program

__all__ = ["data", "episodes", "groups", "items", "loader", "pictures", "sources"]


def data(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What checks the user's data against the compiled shapes, and converts it."""
    inputs = [value for value in program.entry(program.loss).inputs if value.is_tensor]
    return render(
        "data.py.j2",
        model=prose(program.model),
        header=header(program),
        loss=identifier(program.loss),
        fields=[field(value) for value in inputs],
        floats=any(value.dtype.is_floating_point for value in inputs),
        limits=any(value.vocabulary is not None for value in inputs),
        images=any(len(value.shape) == 4 for value in inputs),
        sequences=token_bytes(plan) is not None,
        pictures=reads_pictures(plan),
    )


def sources(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What finds arrays in files, for the kinds of files that suit the model."""
    return render(
        "sources.py.j2",
        model=prose(program.model),
        header=header(program),
        kinds=source_kinds(plan),
        token_bytes=token_bytes(plan),
        text=reads_text(plan),
        pictures=reads_pictures(plan),
    )


def items(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What takes arrays and Datasets from Python code."""
    return render("items.py.j2", model=prose(program.model), header=header(program))


def episodes(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What draws small datasets from all of the data."""
    return render("episodes.py.j2", model=prose(program.model), header=header(program), grouped=is_grouped(plan))


def groups(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What finds groups in data without labels, but for a statistical model: a mixture is not what it describes."""
    if not is_grouped(plan):
        return None
    place = next((i for i, part in enumerate(plan.encoder) if part.kind != "label"), 0)
    part = plan.encoder[place]
    inputs = [value for value in program.entry(program.loss).inputs if value.is_tensor]
    return render(
        "groups.py.j2",
        model=prose(program.model),
        header=header(program),
        place=place,
        number=part.kind == "label",
        tokens=part.kind == "tokens",
        rows=part.rows if part.kind in ("label", "tokens") else math.prod(part.shape),
        bounded=inputs[place].vocabulary is not None,
    )


def loader(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What reads ahead by worker processes."""
    return render("loader.py.j2", model=prose(program.model), header=header(program))


def pictures(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What reads folders of pictures and shows samples, for a model of pictures."""
    if not reads_pictures(plan):
        return None
    channels = plan.encoder[0].shape[0]
    return render(
        "pictures.py.j2",
        model=prose(program.model),
        header=header(program),
        channels=channels,
        mode=Code({1: "L", 3: "RGB"}[channels]),
        sampler=is_picture(program, plan),
    )


def field(value: Input) -> Code:
    parts = [value.name, tuple(value.shape[1:]), value.dtype]
    if value.vocabulary is not None:
        parts.append(value.vocabulary)
    return Code(f"Field({', '.join(map(literal, parts))})")
