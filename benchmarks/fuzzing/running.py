"""Compiles one generated program and compares what comes out with the model: what became of it, in a word.

All in this process, for speed: what a compile adds to it, ruff, a fresh process and the swap of folders, is the same
for every program; `whole` goes through it.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from benchmarks.fuzzing.hostile import example, hostile_model
from hypergen_compiler.capture import EntryPoint
from hypergen_compiler.capture.prepare import seeded
from hypergen_compiler.checker import check_texts, require
from hypergen_compiler.design import Request, design, planned
from hypergen_compiler.emit.files import emit
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.pipeline import publish
from hypergen_compiler.verification.process import WorkerFailure
from hypergen_compiler.verification.verify import verify_package
from hypergen_compiler.verification.worker import Runner, in_one_line

__all__ = ["Outcome", "hostile_outcome", "outcome"]

SIZES = (3, 1)  # of batches: the recorder uses others
RECORDED = (11, 5, 14)
BUGS = ("HG601", "HG602", "HG901", "HG902")  # what only a compiler that is wrong refuses with
NUMBERS = itertools.count()


class Outcome(NamedTuple):
    """`kind` is accepted, refused, wrong, crashed, or invalid where the program does not run without HyperGen."""

    kind: str
    detail: str = ""

    @property
    def cause(self) -> str:
        """What two outcomes have in common that are likely to come from one bug."""
        words = re.findall(r"[A-Za-z_]+Error|HG\d{3}", self.detail)
        return " ".join([self.kind, self.detail.split(" of ")[0] if self.kind == "wrong" else "", *words[:1]])


class SameProcess:
    """Runs a package in this process, behind the interface of `VerificationProcess`."""

    def __init__(self):
        self.runner, self.request = Runner(), {}

    def load(self, folder: Path, name: str) -> None:
        self.runner.load(folder, name)

    def hold(self, parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> None:
        values = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        self.made(lambda: self.runner.hold({"parameters": values, "buffers": buffers, "threads": 1}))

    def initial(self) -> dict[str, dict[str, torch.Tensor]]:
        return self.made(self.runner.initial)

    def together(self, inputs: tuple[torch.Tensor, ...]) -> dict[str, Any]:
        return self.made(lambda: self.runner.together(inputs))

    def run(self, entry: str, inputs: tuple[Any, ...], training: bool, seed: int) -> None:
        self.request = {"entry": entry, "inputs": inputs, "training": training, "seed": seed}

    def answer(self) -> dict[str, Any]:
        return self.made(lambda: self.runner.run(self.request))

    def made(self, call: Any) -> Any:
        try:
            return call()
        except Exception as error:
            raise WorkerFailure(in_one_line(error)) from error


def outcome(text: str, *, whole: bool = False) -> Outcome:
    """What becomes of the program of this text; `whole` publishes it as the command line does."""
    with tempfile.TemporaryDirectory(prefix="hypergen-fuzz-") as scratch, loaded(text, Path(scratch)) as module:
        with quiet():
            if problem := own_problem(text, module):
                return Outcome("invalid", problem)
            request = request_of(module)
        return judged(request, Path(scratch), whole=whole)


def hostile_outcome(seed: int, *, whole: bool = False) -> Outcome:
    """What becomes of a model of hostile names: wrong as well where any of them was run."""
    with tempfile.TemporaryDirectory(prefix="hypergen-fuzz-") as scratch:
        mark = Path(scratch) / "ran"
        given = hostile_model(seed, str(mark))
        entries = {name: call for name, call in given.entries.items() if name != "loss"}
        request = Request(given.model, example, given.entries["loss"], None, entries, description=given.description)
        found = judged(request, Path(scratch), whole=whole)
        return Outcome("wrong", f"ran of {given.texts}") if mark.exists() else found


def judged(request: Request, scratch: Path, *, whole: bool = False) -> Outcome:
    """What becomes of a model that runs by itself, whatever the compiler does with it."""
    try:
        with quiet():
            return compiled(request, scratch, whole=whole)
    except HyperGenError as error:
        kind = "wrong" if error.code in BUGS else "refused"
        return Outcome(kind, f"{error.code}: {error.what} (at {error.where})")
    except Exception as error:
        return Outcome("crashed", f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def loaded(text: str, folder: Path) -> Iterator[ModuleType]:
    """A module of a file that holds the text, still to be run, for as long as it is wanted."""
    name = f"generated_{next(NUMBERS)}"
    file = folder / f"{name}.py"
    file.write_text(text)
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = str(file)
    try:
        yield module
    finally:
        del sys.modules[name]


def own_problem(text: str, module: ModuleType) -> str | None:
    """Why the program cannot be run and differentiated by itself, if it cannot."""
    try:
        exec(compile(text, str(module.__file__), "exec"), module.__dict__)
        model = module.model()
        for entry, training, size in itertools.product(module.ENTRIES, (True, False), (*RECORDED, SIZES[0])):
            with seeded():
                inputs = module.example(size)
            model.train(training)
            found = module.leaves(getattr(model, entry)(*inputs))
            total = sum(leaf.double().sum() for leaf in found if leaf.requires_grad)
            if isinstance(total, torch.Tensor):
                total.backward()
    except Exception as error:
        return in_one_line(error)
    return None


def request_of(module: ModuleType) -> Request:
    loss = "loss" if "loss" in module.ENTRIES else None
    entries = [entry for entry in module.ENTRIES if entry != "loss"]
    return Request(module.model(), module.example, loss=loss, sample=None, entries=entries)


def compiled(request: Request, scratch: Path, *, whole: bool = False) -> Outcome:
    """Compiles and verifies a model; each stage is checked as the compiler does."""
    name = f"package_{next(NUMBERS)}"
    folder = scratch / name
    if whole:
        publish(request, folder)
        return Outcome("accepted")
    found = design(request, name)
    failures = []
    for apart in (False, True):
        if apart:  # one pass for each dataset, as the compiler does where one for all does something else
            layout, plan, together = planned(found.program, replace(request, apart=True))
            found = replace(found, layout=layout, plan=plan, together=together)
        files = emit(found.program, found.layout, found.plan, found.together)
        require("emission", check_texts(files), found.program)
        write(files, folder)
        failures = disagreements(folder, name, found.model, found.points, found.program.loss)
        if not failures or any(failure.what != "together" for failure in failures):
            break
    if failures:
        first = failures[0]
        return Outcome("wrong", f"{first.what} of {first.place}: {first.detail} ({len(failures)} of these)")
    return Outcome("accepted")


def write(files: dict[str, bytes], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in files.items():
        (folder / path).write_bytes(content)


def disagreements(folder: Path, name: str, model: Any, points: tuple[EntryPoint, ...], loss: str | None) -> list[Any]:
    try:
        found = verify_package(folder, name, model, points, batches=SIZES, start=True, loss=loss, process=SameProcess())
    finally:
        for module in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
            del sys.modules[module]
    return list(found.failures)
