"""A stage that contradicts itself publishes nothing, and leaves a report to hand on."""

from __future__ import annotations

import json
import platform

import pytest
import torch
from typer.testing import CliRunner

import hypergen_compiler
from hypergen_compiler import cli, design, pipeline
from hypergen_compiler.checker import Violation
from hypergen_compiler.errors import InternalError

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.secret_layer = nn.Linear(4, 4)

    def loss(self, x):
        return (self.secret_layer(x) - x).square().mean()
"""
COMPILE = ["compile", "net.py:Net", "--example", "4", "--sample", "none", "--out", "emitted"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("PYTORCH_JIT", "0")
    return tmp_path


def command(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("module", "check"),
    [(design, "check_graphs"), (design, "check_layout"), (design, "check_plan"), (pipeline, "check_texts")],
)
def test_a_violation_is_an_error_and_no_package(folder, monkeypatch, module, check):
    monkeypatch.setattr(module, check, lambda *given: [Violation("two and two are five", "net.py:12")])
    done = command(*COMPILE)
    assert done.exit_code == 1 and "error[HG902]" in done.stderr and "two and two are five" in done.stderr
    assert "at net.py:12" in done.stderr and "hypergen doctor --report" in done.stderr
    assert not (folder / "emitted").exists()

    done = command("doctor", "--report", "report.txt")
    assert done.exit_code == 0 and "wrote report.txt" in done.stderr
    report = (folder / "report.txt").read_text()
    assert "HG902" in report and "- two and two are five" in report and f"torch: {torch.__version__}" in report
    assert "secret_layer.weight [4, 4]" in report and str(folder) not in report


def test_a_violation_names_the_stage_in_python_too(folder, monkeypatch):
    monkeypatch.setattr(design, "check_layout", lambda *given: [Violation("two slots are one")])
    namespace = {}
    exec(MODEL, namespace)
    with pytest.raises(InternalError, match="layout broke its own rules: two slots are one") as caught:
        hypergen_compiler.compile(namespace["Net"](), torch.randn(3, 4), out=folder / "emitted", sample=None)
    assert "stage: layout" in caught.value.report and not (folder / "emitted").exists()


def test_doctor_shows_versions(folder):
    found = json.loads(command("doctor", "--json").stdout)
    assert found["torch"] == torch.__version__ and found["python"] == platform.python_version()
    assert "torch" in command("doctor").stdout


def test_without_an_error_a_report_holds_versions(folder):
    assert command("doctor", "--report", "report.txt").exit_code == 0
    assert f"torch: {torch.__version__}" in (folder / "report.txt").read_text()


def test_a_report_that_cannot_be_written(folder):
    done = command("doctor", "--report", folder / "missing" / "report.txt")
    assert done.exit_code == 2 and "error[HG507]" in done.stderr
