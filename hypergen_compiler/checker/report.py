"""What whoever looks into an internal error needs to see: versions, the stage, and the program without its values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch.fx

from hypergen_compiler.capture.tape import fill
from hypergen_compiler.program import Entry, Program
from hypergen_compiler.versions import versions

__all__ = ["program_lines", "report_text"]


def report_text(stage: str, found: Sequence[str], program: Program) -> str:
    """The whole report. Names of the model's modules and functions are in it, its weights and data are not."""
    lines = ["HyperGen contradicted itself.", "", *(f"{name}: {version}" for name, version in versions())]
    lines += ["", f"stage: {stage}", *(f"- {what}" for what in found), "", *program_lines(program)]
    return "\n".join(lines) + "\n"


def program_lines(program: Program) -> Iterator[str]:
    """Parameters, buffers and the calls of every entry point, one line each."""
    yield f"model {program.model}"
    for parameter in program.parameters:
        marks = ("" if parameter.trained else " frozen") + "".join(f" = {alias}" for alias in parameter.aliases)
        yield f"parameter {parameter.name} {list(parameter.value.shape)} {parameter.value.dtype}{marks}"
    for buffer in program.buffers:
        yield f"buffer {buffer.name} {list(buffer.value.shape)} {buffer.value.dtype}"
    for name, constant in program.constants.items():
        yield f"constant {name} {list(constant.shape)} {constant.dtype}"
    for entry in program.entries:
        yield from entry_lines(entry, entry.name)


def entry_lines(entry: Entry, title: str) -> Iterator[str]:
    yield f"\nentry {title}"
    for node in entry.graph.nodes:
        if node.op == "output":
            yield f"  return {fill(entry.output, shown)}"
        elif node.op == "call_function":
            call = f"{node.meta.get('name', 'part')}{fill(node.args, shown)}{options(node)}"
            yield f"  {shown(node)}{described(node)} = {call}"
        else:
            yield f"  {shown(node)}{described(node)} = {node.op} {node.target}"
    if entry.evaluation is not None:
        yield from entry_lines(entry.evaluation, f"{title}, in evaluation")


def shown(leaf: Any) -> str:
    """A tensor by its node's name; of other values, tensors' contents aside, their text."""
    return f"%{leaf.name}" if isinstance(leaf, torch.fx.Node) else leaf if isinstance(leaf, str) else repr(leaf)[:200]


def options(node: torch.fx.Node) -> str:
    return f" {fill(node.kwargs, shown)}" if node.kwargs else ""


def described(node: torch.fx.Node) -> str:
    """`: [n, 8] torch.float32, writes`."""
    shape = f": {list(node.meta['shape'])} {node.meta['dtype']}" if "shape" in node.meta else ""
    marks = [mark for mark in ("writes", "random", "mode") if node.meta.get(mark)]
    return shape + "".join(f", {mark}" for mark in marks)
