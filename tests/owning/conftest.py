"""A small model in a folder of its own, compiled as the command line does it, once for all tests here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hypergen_compiler import cli
from hypergen_compiler.pipeline import Build

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.layer = nn.Linear(4, width)
        self.back = nn.Linear(width, 4)
        self.width = width

    def loss(self, x):
        return (self.back(torch.tanh(self.layer(x))) - x).square().mean()

    def sample(self, n):
        return self.back(torch.randn(n, self.width))
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A folder with `nets.py`."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "nets.py").write_text(MODEL)
    return folder


@contextmanager
def within(folder: Path) -> Iterator[None]:
    before, path = Path.cwd(), list(sys.path)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        sys.modules.pop("nets", None)


@pytest.fixture(scope="session")
def build_net(home) -> Callable[..., Build]:
    """Compiles the model in memory."""
    from hypergen_compiler.errors import ignore
    from hypergen_compiler.pipeline import build
    from hypergen_compiler.request.origin import Origin
    from hypergen_compiler.request.words import request

    def build_net(name: str = "net", **options) -> Build:
        with within(home):
            return build(request(Origin("nets.py:Net", example="4", **options), ignore), name)

    return build_net


@pytest.fixture(scope="session")
def built(build_net) -> Build:
    return build_net()


@pytest.fixture(scope="session")
def newer(build_net) -> Build:
    """What the next version would write: other stamps, and one line more in `export.py`."""
    from hypergen_compiler.emit import files, header
    from hypergen_compiler.publishing import manifest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header, "VERSION", "9.9.9")
        patch.setattr(manifest, "VERSION", "9.9.9")
        part = files.TRAINING_FILES["plain weights"]
        export = {"export.py": lambda *parts: part["export.py"](*parts) + "\n\nNEW_IN_9 = True\n"}
        patch.setattr(files, "TRAINING_FILES", {**files.TRAINING_FILES, "plain weights": part | export})
        return build_net()


def put(folder: Path, files) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def package(home, tmp_path, built, monkeypatch) -> Path:
    """The package in a folder; the current one has the model."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTORCH_JIT", "0")
    yield put(tmp_path / "net", built.files)
    sys.modules.pop("nets", None)


@pytest.fixture
def run() -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(cli.app, list(map(str, arguments)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
