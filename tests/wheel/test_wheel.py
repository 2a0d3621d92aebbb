from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hypergen_compiler.version import VERSION

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Built from the source distribution, as it would be for a release."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_holds_every_module_and_template(wheel):
    names = set(wheel.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hypergen_compiler").rglob("*.py")}
    found = (path.relative_to(ROOT) for path in (ROOT / "templates").rglob("*.j2"))
    templates = {f"hypergen_compiler/{path.as_posix()}" for path in found}
    assert modules | templates | {"hypergen_compiler/py.typed", "hypergen_compiler/LICENSE"} <= names
    assert {name.split("/")[0] for name in names} == {"hypergen_compiler", f"hypergen_compiler-{VERSION}.dist-info"}


def test_finds_its_templates_and_licence_away_from_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    script = (
        "from hypergen_compiler.emit.text import template_folder; print(template_folder())\n"
        "from hypergen_compiler.owning.vendored import licence_file; print(licence_file())"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    package = tmp_path / "hypergen_compiler"
    assert result.stdout.splitlines() == [str(package / "templates"), str(package / "LICENSE")]
