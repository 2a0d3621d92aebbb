"""What is emitted passes what people run over their own code: ruff, strict pyright, warnings as errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from hypergen_compiler.errors import ignore
from hypergen_compiler.examples.catalogue import BUNDLED
from hypergen_compiler.pipeline import build
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.words import request

GENERATED = Path(__file__).parents[2] / "generated"
MODELS = Path(__file__).parents[1] / "emit" / "packages.py"
VARIANTS = ("chunked", "chunked-alone", "factors", "biases", "base")
RULES = "E,F,W,I,UP,B"


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """The bundled models as they are compiled today, the first with every other head; a statistical model, and one of
    texts under the penalty of chains."""
    folder = tmp_path_factory.mktemp("packages")
    named = {m.package: Origin(m.source, m.settings, m.example, entries=m.entries) for m in BUNDLED}
    named |= {f"conv_vae_{head.replace('-', '_')}": replace(named["conv_vae"], head=head) for head in VARIANTS}
    named["moments"] = Origin(f"{MODELS}:Moments", {}, "2")
    named["texts"] = Origin(named["small_gpt"].source, {"vocabulary": 128}, "tokens:32:128", penalty="chains")
    for name, origin in named.items():
        (folder / name).mkdir()
        for path, content in build(request(origin, ignore), name).files.items():
            (folder / name / path).write_bytes(content)
    return folder


@pytest.mark.skipif(find_spec("pyright") is None, reason="needs pyright")
def test_emitted_packages_pass_strict_pyright(packages: Path):
    settings = packages / "pyrightconfig.json"
    settings.write_text(json.dumps({"typeCheckingMode": "strict"}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(settings)]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True)
    if "packages failed" in done.stderr or "getaddrinfo" in done.stderr:
        pytest.skip("pyright could not fetch its own program")
    assert done.returncode == 0, done.stdout + done.stderr


def test_emitted_packages_pass_ruff(packages: Path):
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length", "120", "."]
    lint = [*ruff, "check", "--select", RULES, "--ignore", "B905", "--target-version", "py310", *options]
    for command in (lint, [*ruff, "format", "--check", *options]):
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_emitted_packages_are_imported_without_a_warning(packages: Path):
    modules = [
        f"{path.parent.name}.{path.stem}"
        for path in sorted(packages.glob("*/*.py"))
        if not path.name.startswith("test_")
    ]
    script = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)"
    command = [sys.executable, "-B", "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["conv_vae", "conv_vae_factors", "small_gpt"])
def test_emitted_packages_run_without_a_warning(packages: Path, name: str):
    command = [sys.executable, "-B", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    done = subprocess.run(command, cwd=packages, env={**os.environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
