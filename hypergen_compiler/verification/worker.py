"""Imports an emitted package in a process of its own and runs it there.

This file is run as a script and imports torch and the standard library only, so that a package which needs anything of
HyperGen fails in it. It reads one JSON message a line and answers each with one line; tensors travel in files.

    {"do": "import", "folder": ..., "name": ...}     -> {}
    {"do": "weights", "file": ...}                   -> {}
    {"do": "run", "file": ..., "answer": ...}        -> {}
    {"do": "initial", "answer": ...}                 -> {}
    {"do": "together", "file": ..., "answer": ...}   -> {}
    an exception in any of them                      -> {"error": what and where}
    no room for the answer's file                    -> {"unwritable": why}
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["Unwritable", "describe", "gradients_of", "observe", "save", "weighted_sum"]


def describe(value: Any) -> Any:
    """A returned structure in plain terms: tensors, None and numbers as they are, containers as [kind, names, items].

    NamedTuples, dataclasses and mappings other than dict all are of kind `record`: one stands for the other.
    """
    if value is None or isinstance(value, Tensor | bool | int | float | complex | str):
        return value
    if isinstance(value, dict) and type(value) is dict:
        return ["dict", list(value), [describe(item) for item in value.values()]]
    fields = record(value)
    if fields is not None:
        return ["record", list(fields), [describe(item) for item in fields.values()]]
    if isinstance(value, tuple | list):
        return ["list" if type(value) is list else "tuple", None, [describe(item) for item in value]]
    return ["other", [type(value).__name__], []]


def record(value: Any) -> dict[str, Any] | None:
    """The named items of a NamedTuple, of torch's own kind of it, of a mapping or of a dataclass instance."""
    names = getattr(value, "_fields", None)
    if type(value).__module__ == "torch.return_types":
        names = getattr(type(value), "__match_args__", None)
    if isinstance(value, tuple) and names is not None:
        return dict(zip(names, value, strict=True))
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}  # noqa: SIM118, a mapping need not iterate over its keys
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return None


def tensors(structure: Any) -> Iterator[Tensor]:
    """The tensors of a described structure, in order."""
    if isinstance(structure, Tensor):
        yield structure
    elif isinstance(structure, list):
        for item in structure[2]:
            yield from tensors(item)


def weighted_sum(structure: Any, seed: int) -> Tensor | None:
    """One scalar of all floating outputs, each element with a weight of its own, or None where none has a gradient."""
    terms = []
    for number, tensor in enumerate(tensors(structure)):
        if tensor.requires_grad:
            real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
            weights = torch.randn(real.shape, generator=torch.Generator().manual_seed(seed + number))
            terms.append((real * weights.to(real)).sum())
    return torch.stack([term.to(torch.float64) for term in terms]).sum() if terms else None


def observe(structure: Any) -> Any:
    """The described structure without its graph, fit to be saved or compared."""
    if isinstance(structure, Tensor):
        return structure.detach().clone()
    if isinstance(structure, list):
        return [structure[0], structure[1], [observe(item) for item in structure[2]]]
    return structure


class Runner:
    """The package under test and the weights that it runs with."""

    def __init__(self):
        self.modules: dict[str, ModuleType] = {}
        self.leaf = torch.empty(0)
        self.buffers: dict[str, Tensor] = {}

    def handle(self, message: dict[str, Any]) -> None:
        if message["do"] == "import":
            self.load(Path(message["folder"]), message["name"])
        elif message["do"] == "weights":
            self.hold(load(message["file"]))
        elif message["do"] == "initial":
            save(self.initial(), message["answer"])
        elif message["do"] == "together":
            save(self.together(load(message["file"])["inputs"]), message["answer"])
        else:
            save(self.run(load(message["file"])), message["answer"])

    def load(self, folder: Path, name: str) -> None:
        """Imports every module of the package but its tests, whatever its folder is called, or its only one."""
        several = (folder / "__init__.py").is_file()
        specification = importlib.util.spec_from_file_location(
            name,
            folder / ("__init__.py" if several else f"{name}.py"),
            submodule_search_locations=[str(folder)] if several else None,
        )
        assert specification and specification.loader
        sys.modules[name] = package = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(package)
        if not several:
            self.modules = dict.fromkeys(("weights", "model", "hypernetwork", "objective"), package)
            return
        for file in sorted(folder.glob("*.py")):
            if not file.stem.startswith(("test_", "__")):
                self.modules[file.stem] = importlib.import_module(f"{name}.{file.stem}")

    def hold(self, weights: dict[str, Any]) -> None:
        torch.set_num_threads(weights["threads"])
        self.buffers = weights["buffers"]
        self.leaf = self.modules["weights"].pack(weights["parameters"]).requires_grad_()

    def initial(self) -> dict[str, dict[str, Tensor]]:
        """What the package starts from when it is given nothing."""
        module = self.modules["weights"]
        return {
            "parameters": module.to_state_dict(module.initial_weights()),
            "buffers": module.State().tensors(),
        }

    def together(self, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
        """One pass over several datasets, and one each; empty where the package has no such pass."""
        if not hasattr(getattr(self.modules.get("hypernetwork"), "Hypernetwork", None), "emit_together"):
            return {}
        file = Path(__file__).with_name("together.py")
        specification = importlib.util.spec_from_file_location(file.stem, file)
        assert specification and specification.loader
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module.observe_together(self.modules, self.leaf.detach(), inputs)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Output, parameter gradients and state of one call, what became of its inputs, and of torch's generator."""
        module = self.modules["weights"]
        state = module.State()
        state.load_state_dict(self.buffers)
        flat = self.leaf * 1  # as a hypernetwork's output is: no leaf, and with a graph behind it
        entry = getattr(self.modules["model"], request["entry"])
        torch.manual_seed(request["seed"])
        output = describe(entry(module.unpack(flat), state, *request["inputs"], training=request["training"]))
        generator = torch.get_rng_state()
        total = weighted_sum(output, request["seed"])
        gradient = None if total is None else next(iter(gradients_of(total, [self.leaf])), None)
        return {
            "output": observe(output),
            "gradients": None if gradient is None else module.to_state_dict(gradient),
            "state": {name: tensor.detach().clone() for name, tensor in state.tensors().items()},
            "inputs": observe(describe(list(request["inputs"]))),
            "generator": generator,
        }


def gradients_of(total: Tensor, inputs: list[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients, or nothing where a write has changed what they need, as some samplers do."""
    try:
        return torch.autograd.grad(total, inputs, allow_unused=True)
    except RuntimeError as error:
        if "modified by an inplace operation" in str(error):
            return ()
        raise


def load(file: str) -> Any:
    return torch.load(file, weights_only=True)


class Unwritable(OSError):
    """A file for tensors cannot be written, which says nothing about the package."""


def save(content: Any, file: str) -> None:
    """Saves what holds tensors. Raises Unwritable where there is no room, which torch reports as a RuntimeError."""
    try:
        torch.save(content, file)
    except (RuntimeError, OSError) as error:
        raise Unwritable(f"no room for {os.path.basename(file)}") from error


def in_one_line(error: Exception) -> str:
    """`model.py:34: ValueError: ...`, the innermost line that is not torch's or Python's own."""
    library = (os.path.dirname(torch.__file__), os.path.dirname(os.__file__), __file__, "<")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(library)]
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{os.path.basename(error.filename)}:{error.lineno}: "
    return f"{place}{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"


def main() -> None:
    # What the package prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Running a script puts its folder first on the path; a package must import nothing of HyperGen from anywhere.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    sys.modules["hypergen_compiler"] = None  # type: ignore[assignment]
    runner = Runner()
    for line in sys.stdin:
        answer: dict[str, str] = {}
        try:
            runner.handle(json.loads(line))
        except Unwritable as error:
            answer["unwritable"] = str(error)
        except Exception as error:
            answer["error"] = in_one_line(error)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
