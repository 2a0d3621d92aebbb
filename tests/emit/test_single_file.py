"""A package as one module: names that clash are kept apart, and it works like the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hypergen_compiler import cli
from hypergen_compiler.emit.files import MODEL as MODEL_FILES
from hypergen_compiler.emit.files import TRAINING_FILES
from hypergen_compiler.emit.global_names import with_globals_renamed
from hypergen_compiler.emit.single_file import ORDER
from hypergen_compiler.examples.catalogue import BUNDLED
from hypergen_compiler.verification.verify import verify_package

# Its methods are called like functions, imports and classes that a package has already.
MODEL = """
import torch
from torch import nn


class Settings(nn.Module):
    def __init__(self):
        super().__init__()
        self.back = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))

    def forward(self, z):
        z = torch.tanh(z) * 2
        return self.back(z).exp() + z.sum()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.main = Settings()

    def fit(self, x):
        h = torch.tanh(self.layer(x)) + 1
        return (self.main(h) - x).square().mean()

    def time(self, n):
        return self.main(torch.randn(n, 3))

    def model(self, x):
        return self.layer(x)

    def objective(self, x):
        return self.layer(x).square()

    def pack(self, x):
        return self.layer(x)
"""


def test_every_file_of_a_package_has_its_place():
    """One that has none would be left out of the module."""
    files = {*MODEL_FILES, *(path for paths in TRAINING_FILES.values() for path in paths)}
    assert sorted(f"{name}.py" for name in ORDER) == sorted(files)


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    (tmp_path / "hard_nets.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTORCH_JIT", "0")

    def compiled(*options: str):
        arguments = ["hard_nets.py:Net", "--example", "4", "--loss", "fit", "--sample", "time", "--out", "one/net"]
        return CliRunner().invoke(cli.app, ["compile", *arguments, "--single-file", *options])

    yield compiled
    sys.modules.pop("hard_nets", None)


def test_clashing_names_are_kept_apart_and_the_commands_run(compiled, tmp_path):
    done = compiled("--entry", "model", "--entry", "objective")
    assert done.exit_code == 0, done.stderr
    assert "python one/net/net.py train DATA" in done.stdout
    folder = tmp_path / "one" / "net"
    assert {path.name for path in folder.glob("*.py")} == {"net.py", "test_net.py"}
    text = (folder / "net.py").read_text()
    for line in ("def fit(", "def data_fit(", "def time(", "import time as the_time", "def model(",
                 "the_model = sys.modules[__name__]", "def objective(", "def objective_objective("):  # fmt: skip
        assert line in text
    assert "python -m" not in text and "from ." not in text

    def run(*arguments: str, status: int = 0) -> str:
        result = subprocess.run([sys.executable, "-B", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout + result.stderr

    assert "passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder))
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((40, 4), dtype="float32"))
    run("one/net/net.py", "train", "data.npz", "--out", "run", "--steps", "8")
    run("one/net/net.py", "export", "run", "data.npz", "--out", "weights.pt")
    back = [f"main.back.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")]
    assert sorted(torch.load(tmp_path / "weights.pt")) == ["layer.bias", "layer.weight", *sorted(back)]
    assert "usage: one/net/net.py train|export ..." in run("one/net/net.py", "other", status=1)
    assert "usage: net.py train [-h]" in run("one/net/net.py", "train", "--help")

    for command in ("verify", "check", "inspect"):
        assert CliRunner().invoke(cli.app, [command, "one/net"]).exit_code == 0
    vendored = CliRunner().invoke(cli.app, ["vendor", "one/net", "two/net"])
    assert vendored.exit_code == 2 and "error[HG504]: net holds a single file" in vendored.stderr


def test_an_entry_point_called_like_something_of_the_weights_is_refused(compiled, tmp_path):
    done = compiled("--entry", "pack")
    assert done.exit_code == 2 and "error[HG211]" in done.stderr and not (tmp_path / "one").exists()


def test_without_a_loss_there_are_no_commands(compiled, tmp_path):
    done = compiled("--loss", "none", "--sample", "none", "--entry", "model")
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "one" / "net" / "net.py").read_text()
    assert "__main__" not in text and "import sys" not in text and "def model(" in text


def test_the_loaded_module_is_the_api(compiled, tmp_path):
    from hypergen_compiler.errors import ignore
    from hypergen_compiler.pipeline import publish
    from hypergen_compiler.request.origin import Origin
    from hypergen_compiler.request.words import request

    bundled = BUNDLED[0]
    origin = Origin(bundled.source, example=bundled.example, entries=bundled.entries, single_file=True)
    package = publish(request(origin, ignore), tmp_path / "one_vae")
    loaded = package.load()
    w, state = loaded.unpack(loaded.initial_weights()), loaded.State()
    assert loaded.loss(w, state, torch.rand(3, 1, 8, 8)).shape == ()
    assert loaded.model.sample(w, state, 2).shape == (2, 1, 8, 8)
    assert verify_package(package.path, "one_vae", package.model, package.entry_points, batches=(4,)).ok
    assert package.path == Path(tmp_path / "one_vae")
    for name in [name for name in sys.modules if name.startswith("one_vae")]:
        del sys.modules[name]


SCOPES = """
def fit(fit: fit = fit) -> fit:
    return fit


def use(x):
    é = "é", fit(x)
    return [fit for fit in fit(x)], [fit(y) for y in x], (lambda fit: fit)(fit)


class Data(fit):
    fit: int = fit

    def method(self):
        return fit, self.fit


def local():
    try:
        import fit
    except ValueError as error:
        return error
    return fit(fit=1)


def inner():
    def nested():
        return fit

    def fit_too(*fit, **kwargs):
        return fit

    return nested(fit=fit)
"""

RENAMED = """
def data_fit(fit: data_fit = data_fit) -> data_fit:
    return fit


def use(x):
    é = "é", data_fit(x)
    return [fit for fit in data_fit(x)], [data_fit(y) for y in x], (lambda fit: fit)(data_fit)


class Data(data_fit):
    fit: int = fit

    def method(self):
        return data_fit, self.fit


def local():
    try:
        import fit
    except ValueError as error:
        return error
    return fit(fit=1)


def inner():
    def nested():
        return data_fit

    def fit_too(*fit, **kwargs):
        return fit

    return nested(fit=data_fit)
"""


def test_globals_are_renamed_and_locals_stay():
    assert with_globals_renamed(SCOPES, {"fit": "data_fit"}) == RENAMED
