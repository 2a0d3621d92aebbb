"""Small helpers for tests of single stages: a model to its program, its emitted text, and what they say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch.fx
from torch import nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.emit.model import model as model_text
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.emit.weights import weights as weights_text
from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.layout import lay_out
from hypergen_compiler.program import Program, project
from hypergen_compiler.publishing.formatting import formatted

__all__ = ["calls", "captured", "definition", "emitted_model", "emitted_weights", "names", "refusal"]


def captured(
    model: nn.Module, example: Any, entries: Any = ("forward",), *, loss: Any = None, sample: Any = None, **options: Any
) -> Program:
    """The program of some entry points, with warnings kept quiet."""
    points = entry_points(model, example, loss=loss, sample=sample, entries=entries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HyperGenWarning)
        return capture(
            model,
            points,
            name="package",
            source=f"{type(model).__name__}()",
            loss=loss and "loss",
            sample=sample and "sample",
            **options,
        )


def refusal(code: str, model: nn.Module, example: Any, entries: Any = ("forward",), **options: Any) -> HyperGenError:
    """The error that capture refuses with."""
    with pytest.raises(HyperGenError) as caught:
        captured(model, example, entries, **options)
    assert caught.value.code == code, caught.value
    assert caught.value.remedy
    return caught.value


def graph_calls(program: Program, entry: int = 0) -> Iterator[torch.fx.Node]:
    nodes = program.entries[entry].graph.nodes
    return (node for node in nodes if node.op == "call_function" and node.target is not project)


def calls(program: Program, entry: int = 0) -> list[str]:
    """The names of the calls in an entry's graph, in order."""
    return [node.meta["name"] for node in graph_calls(program, entry)]


def names(program: Program, entry: int = 0) -> list[Any]:
    """What the user's statements call each call's result, in order; None where they do not."""
    return [node.meta["written"] and node.meta["written"].names for node in graph_calls(program, entry)]


def emitted_model(program: Program) -> str:
    """The text of `model.py`, formatted as it is published."""
    layout = lay_out(program)
    return formatted_text(model_text(program, layout, all_records(program)))


def emitted_weights(program: Program) -> str:
    """The text of `weights.py`, formatted as it is published."""
    layout = lay_out(program)
    return formatted_text(weights_text(program, layout, all_records(program)))


def formatted_text(text: str) -> str:
    return formatted({"module.py": text.encode()})["module.py"].decode()


def definition(text: str, name: str) -> str:
    """One function of a module's text, without its docstring, each line stripped of its common indentation."""
    found = next(block for block in text.split("\n\n\n") if block.startswith((f"def {name}(", f"class {name}(")))
    return "\n".join(line for line in found.strip().splitlines() if '"""' not in line)
