"""Every code, through the command line: what it says, the place in the user's file, and a remedy."""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hypergen_compiler
from hypergen_compiler import cli, design, pipeline
from hypergen_compiler.checker import Violation
from hypergen_compiler.errors import CODES
from hypergen_compiler.owning import prove
from hypergen_compiler.publishing.manifest import BASE

BEGINNING = """\
import random
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layer = nn.Linear(4, width)

"""
LOSS = """\
    def loss(self, x):
        return self.layer(x).square().mean()
"""
HERE = "  # HERE"  # ends the line that a refusal has to name
COMMAND = ("compile", "nets.py:Net", "--example", "4", "--sample", "none", "--out", "out")


@dataclass(frozen=True)
class Case:
    """A model that a code is for: the end of `Net`, or a whole file; options beside the usual ones; words to expect."""

    code: str
    text: str
    remedy: str
    options: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        whole = not self.text.startswith("    ")
        return self.text if whole else BEGINNING + self.text

    @property
    def place(self) -> str | None:
        lines = [number for number, line in enumerate(self.source.splitlines(), 1) if line.endswith(HERE)]
        return f"nets.py:{lines[0]}" if lines else None


def body(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text).strip(), "    ")


CASES = [
    Case("HG101", "import no_such_module  # HERE", "Make it import on its own"),
    Case("HG102", "def Net():  # HERE\n    return 3", "Name an nn.Module class"),
    Case("HG103", "from torch.nn import Module\n\n\nclass Net(Module):\n    def __init__(self, width):  # HERE\n"
                  "        pass", "--set name=value"),
    Case("HG104", body("def loss(self, x, w=None):  # HERE\n    return self.layer.weight.sum()"), "buffers",
         ("--example", "nets.py:batch")),
    Case("HG105", LOSS, "--set channels=16", ("--set", "width")),
    Case("HG106", LOSS, "--name", ("--name", "class")),
    Case("HG107", LOSS, "ddpm", ("--recipe", "magic")),
    Case("HG201", "from torch import nn\n\n\nclass Net(nn.Module):  # HERE\n    pass", "It has forward. Name one",
         ("--loss", "elbo")),
    Case("HG202", body("def loss(self, x):\n    return (x @ torch.zeros(7, 7)).mean()  # HERE"), "example"),
    Case("HG203", body("def loss(self, x):\n    return self.layer(x.view(11, 4)).mean()  # HERE"), "batch"),
    Case("HG204", body("""
        def loss(self, x):
            if x.sum() % 1 > 0.5:
                return self.layer(x).mean()  # HERE
            return self.layer(x).sum()
        """), "torch.where"),
    Case("HG204", body("""
        def loss(self, x):
            return self.layer(x * (2.0 if len(x) == 3 else 1.0)).mean()  # HERE
        """), "without"),
    Case("HG204", body("""
        kept = None

        def loss(self, x):
            if self.kept is None:
                self.kept = self.layer.weight.detach().softmax(1)
            return (self.layer(x) @ self.kept).square().mean()
        """), "anew in every call"),
    Case("HG204", body("""
        def loss(self, x):
            result = self.layer(x).square().mean()
            self.layer.weight.data.clamp_(-0.1, 0.1)
            return result
        """), "where they are used"),
    Case("HG205", body("""
        def loss(self, x):
            scale = self.layer.weight.abs().max().item()  # HERE
            return self.layer(x).mean() * scale
        """), "--allow-frozen"),
    Case("HG206", LOSS + "\n" + body("def odd(self, x):  # HERE\n    return object()"), "Return",
         ("--entry", "odd")),
    Case("HG207", body("def loss(self, x):  # HERE\n    return self.layer(x)"), "mean"),
    Case("HG208", body("def loss(self, x):  # HERE\n    return self.layer(x).mean().detach()"), "detach"),
    Case("HG209", body("def loss(self, x):\n    return self.layer(x).mean() * np.random.rand()  # HERE"), "torch"),
    Case("HG210", LOSS + "\n" + body("def draw(self, n):  # HERE\n    return self.layer(torch.randn(n, 4))[:, :2]"),
         "shape", ("--sample", "draw")),
    Case(
        "HG211",
        LOSS + "\n" + body("def layers(self, x):  # HERE\n    return self.layer(x)"),
        "another name",
        ("--entry", "layers"),
    ),
    Case("HG301", "".join((BEGINNING.rstrip(), "\n        self.scale = nn.Parameter(torch.ones(4).double())\n\n",
         body("def loss(self, x):\n    return (self.layer(x) * self.scale).mean()"))), "model.float()"),
    Case("HG302", LOSS + "\n" + body("def plain(self, x):\n    return x * 2"), "requires_grad_",
         ("--loss", "none", "--entry", "plain")),
    Case("HG303", LOSS, "bytes or more", ("--budget", "10")),
    Case("HG304", LOSS, "low-rank", ("--head", "magic")),
    Case("HG305", LOSS, "layer.weight", ("--keep", "decoder.*")),
    Case("HG306", LOSS, "unbiased", ("--penalty", "magic")),
    Case("HG401", body("def loss(self, x):\n    loss = self.layer(x).mean()\n    loss.backward()  # HERE\n"
                       "    return loss"), "grad"),
    Case("HG402", body("""
        def loss(self, x):
            noise = torch.randn(4, generator=torch.Generator().manual_seed(0))  # HERE
            return (self.layer(x) * noise).mean()
        """), "Pass it as an input"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTORCH_JIT", "0")
    yield tmp_path
    sys.modules.pop("nets", None)


def check(code: str, place: str | None, remedy: str, *arguments: object) -> None:
    """The command is refused with this code, place and remedy, and nothing else goes wrong."""
    done = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == (1 if code in ("HG601", "HG602", "HG605", "HG902") else 2)
    said = done.stderr[done.stderr.index("error[") :].splitlines()
    assert said[0].startswith(f"error[{code}]: ") and len(said[0]) > len(f"error[{code}]: ")
    places = [line.removeprefix("  at ") for line in said if line.startswith("  at ")]
    assert places == ([] if place is None else [place])
    assert remedy in said[-1] and said[-1].startswith("  ")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_models(case, here):
    extra = "\n\ndef batch(n):\n    return torch.rand(n, 4), torch.rand(3, 2)\n" if "HG104" in case.code else ""
    (here / "nets.py").write_text(case.source + "\n" + extra)
    check(case.code, case.place, case.remedy, *COMMAND, *case.options)
    assert not (here / "out").exists()


def test_the_project(here):
    (here / "pyproject.toml").write_text('[project]\nname = "p"\n\n[tool.hypergen.net]\nsauce = "nets.py:Net"\n')
    check("HG108", "pyproject.toml:4", "The options are", "compile")


class TestPackages:
    """What is refused of a package that is there."""

    def test_a_target_that_cannot_be_written(self, package):
        (package.parent / "file").touch()
        check("HG501", None, "Name another folder", *COMMAND[:-1], package.parent / "file")

    def test_a_target_with_other_files(self, package):
        (package / "mine.txt").touch()
        check("HG502", None, "--force", *COMMAND[:-1], package)

    def test_an_edited_target(self, package):
        (package / "model.py").write_text("mine\n")
        check("HG503", None, "hypergen update", *COMMAND[:-1], package)

    def test_no_package(self, here):
        check("HG504", None, "hypergen compile", "inspect", here)

    def test_a_lost_record(self, package):
        (package / BASE).unlink()
        check("HG505", None, "version control", "update", package)

    def test_a_missing_tool(self, package, monkeypatch):
        monkeypatch.setattr(prove, "find_spec", lambda name: None)
        check("HG506", None, "pip install pytest", "vendor", package, package.parent / "other")

    def test_no_temporary_folder(self, package, monkeypatch):
        (package.parent / "file").touch()
        monkeypatch.setattr(tempfile, "tempdir", str(package.parent / "file"))
        check("HG507", None, "TMPDIR", "vendor", package, package.parent / "other")
        assert not (package.parent / "other").exists()

    def test_a_package_that_disagrees_with_the_model(self, here, monkeypatch):
        emit = pipeline.emit
        monkeypatch.setattr(
            pipeline,
            "emit",
            lambda *given: {
                path: text.replace(b"square()", b"abs()") if path == "model.py" else text
                for path, text in emit(*given).items()
            },
        )
        (here / "nets.py").write_text(BEGINNING + LOSS)
        check("HG601", None, "report", *COMMAND)
        assert not (here / "out").exists()

    def test_a_package_that_does_not_import(self, package):
        (package / "model.py").write_text("x = 1\nimport no_such_module\n")
        check("HG602", None, "Undo the last edit", "verify", package)

    def test_a_model_that_is_gone(self, package):
        check("HG603", None, "Check the spelling", "verify", package, "gone.py:Net")

    def test_data_that_cannot_be_read(self, here):
        (here / "data.npz").write_bytes(b"no archive")
        check("HG604", None, "uint8", "demo", "--data", here / "data.npz", "--out", here / "demo")
        assert not (here / "demo").exists()

    def test_a_package_that_fails_its_own_tests(self, package):
        (package / "model.py").write_text("import no_such_module\n")
        check("HG605", None, "hypergen diff", "vendor", package, package.parent / "other")
        assert not (package.parent / "other").exists()


class TestAudit:
    def test_nothing_to_audit(self, here):
        np.savez(here / "data.npz", x=np.zeros((8, 4), "float32"))
        check("HG701", None, "path/to/file.py:Name", "audit", here / "nothing", here / "data.npz")

    def test_samples_of_another_kind(self, here):
        np.savez(here / "data.npz", x=np.zeros((8, 4), "float32"))
        np.savez(here / "samples.npz", x=np.zeros((8, 5), "float32"))
        check("HG702", None, "the same kind", "audit", here / "samples.npz", here / "data.npz")


class TestHyperGenItself:
    """Bugs, which are made here."""

    @pytest.fixture(autouse=True)
    def nowhere_to_keep_reports(self, here, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
        (here / "nets.py").write_text(BEGINNING + LOSS)

    def test_emitted_text_that_is_no_python(self, here, monkeypatch):
        monkeypatch.setattr(pipeline, "emit", lambda *given: {"model.py": b"def loss(\n"})
        monkeypatch.setattr(pipeline, "check_texts", lambda *given: [])
        check("HG901", None, "report", *COMMAND)
        assert not (here / "out").exists()

    def test_a_stage_that_breaks_its_rules(self, here, monkeypatch):
        monkeypatch.setattr(design, "check_layout", lambda *given: [Violation("two slots overlap", "nets.py:11")])
        check("HG902", "nets.py:11", "hypergen doctor --report", *COMMAND)
        assert not (here / "out").exists()


def test_every_code_is_tried_here_and_documented():
    tried = {case.code for case in CASES} | set(re.findall(r'check\("(HG\d{3})"', Path(__file__).read_text()))
    page = (Path(hypergen_compiler.__file__).parents[1] / "docs" / "errors.md").read_text()
    assert tried == set(CODES) == set(re.findall(r"^\| (HG\d{3}) \|", page, re.MULTILINE))
