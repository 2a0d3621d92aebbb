"""All files of a package, in memory."""

from __future__ import annotations

import io
from collections.abc import Collection

import torch

from hypergen_compiler.emit.data import data, episodes, groups, items, loader, pictures, sources
from hypergen_compiler.emit.export import batch_norm, calibration, export, mixtures
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import hypernetwork
from hypergen_compiler.emit.layers import layers
from hypergen_compiler.emit.model import model, model_lines
from hypergen_compiler.emit.objective import chains, objective
from hypergen_compiler.emit.package_tests import package_tests
from hypergen_compiler.emit.processes import processes
from hypergen_compiler.emit.run_files import checkpoint, curves, dependence, log, samples, storage, validation
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.emit.train import faults, learner, optimizer, settings, train, training
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.emit.weights import weights
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.plan.together import Together
from hypergen_compiler.program import Program

__all__ = ["emit", "emitted_lines"]

MODEL = ("model.py", "weights.py", "layers.py")
# What a package with a loss has besides, as a reader meets it; `__init__.py` lists it so.
TRAINING_FILES = {
    "the hypernetwork": {"hypernetwork.py": hypernetwork, "objective.py": objective},
    "its data": {
        "data.py": data,
        "sources.py": sources,
        "items.py": items,
        "pictures.py": pictures,
        "groups.py": groups,
        "loader.py": loader,
        "episodes.py": episodes,
    },
    "its training": {
        "train.py": train,
        "training.py": training,
        "learner.py": learner,
        "settings.py": settings,
        "optimizer.py": optimizer,
        "faults.py": faults,
        "processes.py": processes,
        "chains.py": chains,
    },
    "what a run leaves": {
        "checkpoint.py": checkpoint,
        "storage.py": storage,
        "log.py": log,
        "dependence.py": dependence,
        "curves.py": curves,
        "samples.py": samples,
        "validation.py": validation,
    },
    "plain weights": {
        "export.py": export,
        "mixtures.py": mixtures,
        "calibration.py": calibration,
        "batch_norm.py": batch_norm,
    },
}


def emit(program: Program, layout: ParameterLayout, plan: Plan, together: Together | None = None) -> dict[str, bytes]:
    """Relative path to content, without the manifest; the training files only where there is a loss.

    `together` tells what becomes of the calls of a plan in which datasets share a pass.
    """
    together = together if plan.together else None
    records = all_records(program)
    texts = {
        "weights.py": weights(program, layout, records, plan.together),
        "model.py": model(program, layout, records, together),
    }
    if together:
        texts["layers.py"] = layers(program, texts["model.py"], layout.gains > 0)
    for files in TRAINING_FILES.values() if program.loss is not None else ():
        made = {path: text(program, layout, plan) for path, text in files.items()}
        texts |= {path: text for path, text in made.items() if text is not None}
    texts["__init__.py"] = contents(program, texts)
    texts[f"test_{program.name}.py"] = package_tests(program, layout, plan)
    return {path: text.encode() for path, text in texts.items()} | {"tensors.pt": stored_tensors(program, layout)}


def contents(program: Program, texts: Collection[str]) -> str:
    """`__init__.py`: which file holds what, in reading order."""
    groups = {"the model": MODEL} | {title: tuple(files) for title, files in TRAINING_FILES.items()}
    found = {title: [path for path in paths if path in texts] for title, paths in groups.items()}
    lines = [f"    {title + ':':18} {', '.join(paths)}" for title, paths in found.items() if paths]
    return render("__init__.py.j2", header=header(program), model=prose(program.model), contents=Code("\n".join(lines)))


def emitted_lines(
    program: Program, layout: ParameterLayout, plan: Plan, together: Together | None = None
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """By function of `model.py`, for each of its statements the user's lines that it came from, as `file:line`."""
    return model_lines(program, all_records(program), together if plan.together else None)


def stored_tensors(program: Program, layout: ParameterLayout) -> bytes:
    """The model's own weights in the flat buffer, and the buffers and constants that are too large to write out."""
    values = {parameter.name: parameter.value for parameter in program.parameters}
    if absent := next((name for name, value in values.items() if value.is_meta), None):
        raise HyperGenError(
            "HG402",
            f"parameter {absent!r} is on the meta device and has no values",
            remedy="Give the model values, as its constructor does on a CPU; `hypergen plan` needs none.",
        )
    flat = torch.zeros(layout.size, dtype=layout.dtype)
    for slot in layout.slots:
        flat[slot.offset : slot.offset + slot.size] = values[slot.name].flatten()
    buffers = {buffer.name: buffer.value for buffer in program.buffers if needs_file(buffer.value)}
    constants = {name: value for name, value in program.constants.items() if needs_file(value)}
    file = io.BytesIO()
    torch.save({"weights": flat, "buffers": buffers, "constants": constants}, file)
    return file.getvalue()
