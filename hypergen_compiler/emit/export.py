"""`export.py`, plain weights for the user's own module, and what it needs to weigh the data and to calibrate."""

from __future__ import annotations

import torch.fx

from hypergen_compiler.capture.recorded_calls import arguments
from hypergen_compiler.emit.batches import (
    argument,
    batch_names,
    content,
    is_picture,
    loss_arguments,
    reads_pictures,
    reads_text,
)
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.objective import drawn, unpacked
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Choice, Program

__all__ = ["batch_norm", "calibration", "export", "mixtures"]

BATCH_NORM = "torch.nn.functional.batch_norm"


def export(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The command that turns a run and a dataset into a state_dict."""
    picture, text = is_picture(program, plan), reads_text(plan) and program.sample is not None
    return render(
        "export.py.j2",
        model=prose(program.model),
        package=Code(program.name),
        header=header(program),
        what=content(plan),
        critic=program.critic is not None,
        sampler=program.sample is not None,
        picture=picture,
        text=text,
        sample_kinds=Code("a .png or .npz" if picture else "a .txt or .npz" if text else "an .npz"),
        batch_norm=has_running_statistics(program),
        calibrated=draws_items(program, plan),
        picture_files=reads_pictures(plan),
    )


def mixtures(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """What weighs the items of the data, for a part or a mixture of it."""
    return render("mixtures.py.j2", model=prose(program.model), header=header(program), pictures=reads_pictures(plan))


def calibration(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What asks until samples have the wanted shares, where the model draws all that the encoder reads."""
    if not draws_items(program, plan):
        return None
    sampler = program.entry(program.sample)
    return render(
        "calibration.py.j2",
        model=prose(program.model),
        header=header(program),
        sample=identifier(program.sample),
        count=Code(", ".join(argument(value, "CHUNK") for value in sampler.inputs)),
        made=Code(", ".join(f"samples{path}" for path in drawn(sampler, plan))),
    )


def draws_items(program: Program, plan: Plan) -> bool:
    """Whether samples are whole items: with nothing to add from the data, the encoder reads them as it reads those."""
    return program.sample is not None and len(drawn(program.entry(program.sample), plan)) == len(plan.encoder)


def batch_norm(program: Program, layout: ParameterLayout, plan: Plan) -> str | None:
    """What estimates running statistics under emitted weights, where the loss keeps some."""
    if not has_running_statistics(program):
        return None
    names = batch_names(plan)
    return render(
        "batch_norm.py.j2",
        model=prose(program.model),
        header=header(program),
        loss=identifier(program.loss),
        unpacked=unpacked(names),
        arguments=loss_arguments(program, names),
    )


def has_running_statistics(program: Program) -> bool:
    """Whether the loss updates the running statistics of a batch normalisation."""
    return any(updates_statistics(node) for graph in program.entry(program.loss).graphs for node in graph.nodes)


def updates_statistics(node: torch.fx.Node) -> bool:
    if node.meta.get("name") != BATCH_NORM:
        return False
    given = arguments(node, BATCH_NORM)
    training = given.get("training", False)
    return isinstance(given.get("running_mean"), torch.fx.Node) and (training is True or isinstance(training, Choice))
