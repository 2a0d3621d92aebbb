"""Compiles a small model in memory and compares what was emitted with the model itself.

Every file of this folder is one family of causes: things that users write and that a compiler can get wrong.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.capture.entry import batches
from hypergen_compiler.checker import check_graphs, check_layout, check_runs, check_texts, require
from hypergen_compiler.emit.files import stored_tensors
from hypergen_compiler.emit.model import model as model_text
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.emit.weights import weights as weights_text
from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.layout import lay_out
from hypergen_compiler.program import Program

from .comparing import compare_names, compare_runs

NUMBERS = itertools.count()
SIZES = (3, 1, 17)  # the recorder uses others


@dataclass
class Emitted:
    """An imported package and its texts."""

    program: Program
    model: ModuleType
    weights: ModuleType
    text: str
    weights_text: str


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def emit(tmp_path: Path) -> Callable[..., Emitted]:
    """`emit(model, example, entries=("forward",), loss=None, sample=None)`: compiled, written and imported."""

    def emit_model(model: nn.Module, example: Any, entries: Any = ("forward",), loss: Any = None, sample: Any = None):
        name = f"cause_{next(NUMBERS)}"
        before = snapshot(model)
        points = entry_points(model, example, loss=loss, sample=sample, entries=entries)
        program = capture(
            model, points, name=name, source="tests", loss=loss and "loss", sample=sample and "sample"
        )  # the names that a callable gets
        assert snapshot(model) == before, "the compiler changed the model"
        require("capture", check_graphs(program) + check_runs(program, model, points), program)
        layout = lay_out(program)
        require("layout", check_layout(program, layout), program)
        records = all_records(program)
        folder = tmp_path / name
        folder.mkdir()
        texts = {
            "__init__.py": "",
            "weights.py": weights_text(program, layout, records),
            "model.py": model_text(program, layout, records),
        }
        require("emission", check_texts({path: text.encode() for path, text in texts.items()}), program)
        for path, text in texts.items():
            (folder / path).write_text(text)
        (folder / "tensors.pt").write_bytes(stored_tensors(program, layout))
        load(name, folder / "__init__.py")
        modules = [load(f"{name}.{part}", folder / f"{part}.py") for part in ("weights", "model")]
        return Emitted(program, modules[1], modules[0], texts["model.py"], texts["weights.py"])

    known = set(sys.modules)
    yield emit_model
    for name in set(sys.modules) - known:
        if name.startswith("cause_"):
            del sys.modules[name]


def load(name: str, file: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def snapshot(model: nn.Module) -> Any:
    """Everything about a model and the generator that compiling must leave alone, comparable."""
    tensors = {name: (id(t), t.detach().flatten().tolist()) for name, t in model.state_dict(keep_vars=True).items()}
    modes = {name: module.training for name, module in model.named_modules()}
    gradients = {name: parameter.grad is None for name, parameter in model.named_parameters()}
    return str(tensors), modes, gradients, torch.get_rng_state().tolist(), torch.is_grad_enabled()


@pytest.fixture
def check(emit: Callable[..., Emitted]) -> Callable[..., Emitted]:
    """`check(model, example, ...)`: emits the model and compares every entry point with it.

    In both modes, at sizes that were not recorded, and at the last of them with moved weights too; two calls in a row
    where there is state: outputs, state, random generator, changed inputs, and gradients of weights and inputs.
    Outputs are equal bit for bit unless `exact` is False: then they agree by the compiler's own rule.
    """

    def check_model(model: nn.Module, example: Any, *, sizes=SIZES, modes=(True, False), exact=True, **names):
        emitted = emit(model, example, **names)
        calls = 2 if emitted.program.buffers else 1
        for entry in emitted.program.entries:
            call, given = call_and_example(entry.name, example, names)
            runs = [*((size, False) for size in sizes), (sizes[-1], True)]
            for training, (size, moved) in itertools.product(modes, runs):
                mode, weights = "training" if training else "evaluation", "moved" if moved else "own"
                label = f"{entry.name}, {mode}, n={size}, {weights} weights"
                compare_runs(emitted, model, call, entry.name, given, training, size, moved, exact, calls, label)
        compare_names(emitted, model)
        return emitted

    return check_model


@pytest.fixture
def refused(emit: Callable[..., Emitted]) -> Callable[..., HyperGenError]:
    """`refused(code, model, example, where=file)`: the error that the compiler refuses with, at a line of that file."""

    def refuse(code: str, model: nn.Module, example: Any, where: str | None = None, **names: Any) -> HyperGenError:
        with pytest.raises(HyperGenError) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore", HyperGenWarning)
            emit(model, example, **names)
        assert caught.value.code == code, caught.value
        assert where is None or (caught.value.where or "").startswith(f"{where}:"), caught.value
        return caught.value

    return refuse


def call_and_example(name: str, example: Any, names: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[int], Any]]:
    """How the model itself is asked for what an entry point computes, and with what."""
    entries = names.get("entries", ())
    own = (names.get(name) if name in ("loss", "sample") else None) or name
    if isinstance(entries, dict) and name in entries:
        own = entries[name]
    given = batches(example)
    if isinstance(own, tuple):
        own, given = own[0], batches(own[1])
    elif name == "sample" and names.get("sample"):
        given = batches(lambda n: (n,))
    if callable(own):
        return own, given
    return lambda model, *inputs: model(*inputs) if own == "forward" else getattr(model, own)(*inputs), given
