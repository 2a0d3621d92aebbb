"""All files of a package, in memory."""

from __future__ import annotations

import io

import torch

from hypergen_compiler.emit.data import data, episodes, groups, items, loader, pictures, sources
from hypergen_compiler.emit.export import batch_norm, export, mixtures
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import hypernetwork
from hypergen_compiler.emit.layers import layers
from hypergen_compiler.emit.model import model, model_lines
from hypergen_compiler.emit.objective import objective
from hypergen_compiler.emit.package_tests import package_tests
from hypergen_compiler.emit.processes import processes
from hypergen_compiler.emit.text import prose, render
from hypergen_compiler.emit.train import (
    checkpoint,
    curves,
    dependence,
    faults,
    learner,
    log,
    optimizer,
    samples,
    settings,
    storage,
    train,
    training,
)
from hypergen_compiler.emit.weights import all_records, needs_file, weights
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Program
from hypergen_compiler.together import Together

__all__ = ["emit", "emitted_lines"]

TRAINING_FILES = {
    "hypernetwork.py": hypernetwork,
    "objective.py": objective,
    "processes.py": processes,
    "sources.py": sources,
    "items.py": items,
    "data.py": data,
    "groups.py": groups,
    "loader.py": loader,
    "episodes.py": episodes,
    "pictures.py": pictures,
    "storage.py": storage,
    "checkpoint.py": checkpoint,
    "mixtures.py": mixtures,
    "batch_norm.py": batch_norm,
    "export.py": export,
    "settings.py": settings,
    "optimizer.py": optimizer,
    "faults.py": faults,
    "dependence.py": dependence,
    "learner.py": learner,
    "log.py": log,
    "curves.py": curves,
    "samples.py": samples,
    "training.py": training,
    "train.py": train,
}


def emit(program: Program, layout: ParameterLayout, plan: Plan, together: Together | None = None) -> dict[str, bytes]:
    """Relative path to content, without the manifest; the training files only where there is a loss.

    `together` tells what becomes of the calls of a plan in which datasets share a pass.
    """
    together = together if plan.together else None
    records = all_records(program, layout)
    texts = {
        "__init__.py": render("__init__.py.j2", header=header(program), model=prose(program.model)),
        "weights.py": weights(program, layout, records, plan.together),
        "model.py": model(program, layout, records, together),
    }
    if together:
        texts["layers.py"] = layers(program, {call.function for call in together.calls.values()}, layout.gains > 0)
    if program.loss is not None:
        made = {path: text(program, layout, plan) for path, text in TRAINING_FILES.items()}
        texts |= {path: text for path, text in made.items() if text is not None}
    texts[f"test_{program.name}.py"] = package_tests(program, layout, plan)
    return {path: text.encode() for path, text in texts.items()} | {"tensors.pt": stored_tensors(program, layout)}


def emitted_lines(
    program: Program, layout: ParameterLayout, plan: Plan, together: Together | None = None
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """By function of `model.py`, for each of its statements the user's lines that it came from, as `file:line`."""
    return model_lines(program, all_records(program, layout), together if plan.together else None)


def stored_tensors(program: Program, layout: ParameterLayout) -> bytes:
    """The model's own weights in the flat buffer, and the buffers and constants that are too large to write out."""
    values = {parameter.name: parameter.value for parameter in program.parameters}
    flat = torch.zeros(layout.size, dtype=layout.dtype)
    for slot in layout.slots:
        flat[slot.offset : slot.offset + slot.size] = values[slot.name].flatten()
    buffers = {buffer.name: buffer.value for buffer in program.buffers if needs_file(buffer.value)}
    constants = {name: value for name, value in program.constants.items() if needs_file(value)}
    file = io.BytesIO()
    torch.save({"weights": flat, "buffers": buffers, "constants": constants}, file)
    return file.getvalue()
