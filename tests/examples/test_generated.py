"""The committed packages are what the compiler writes today, they stand alone, and they pass their own tests."""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypergen_compiler.errors import ignore
from hypergen_compiler.examples.catalogue import BUNDLED
from hypergen_compiler.pipeline import build
from hypergen_compiler.request.words import request

GENERATED = Path(__file__).parents[2] / "generated"
PACKAGES = [bundled.package for bundled in BUNDLED]
CACHES = {"__pycache__", ".pytest_cache"}


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not CACHES & set(path.parts))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(committed: dict[str, bytes], compiled: dict[str, bytes]) -> str:
    """What changed in words a person can act on: a unified diff where a file is text."""
    parts = [f"only committed: {path}\n" for path in sorted(committed.keys() - compiled.keys())]
    parts += [f"only compiled: {path}\n" for path in sorted(compiled.keys() - committed.keys())]
    for path in sorted(committed.keys() & compiled.keys()):
        if committed[path] != compiled[path]:
            parts.append(unified(path, committed[path], compiled[path]))
    return "\n".join(parts)


def unified(path: str, committed: bytes, compiled: bytes) -> str:
    try:
        texts = [content.decode().splitlines(keepends=True) for content in (committed, compiled)]
    except UnicodeDecodeError:
        return f"{path}: {len(committed)} committed bytes differ from {len(compiled)} compiled ones\n"
    return "".join(difflib.unified_diff(*texts, f"committed/{path}", f"compiled/{path}"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """Compiled as `make generated` does it, with another order of sets than the one that was committed."""
    folder = tmp_path_factory.mktemp("generated")
    command = [sys.executable, "-m", "hypergen_compiler.examples", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"}, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize("package", PACKAGES)
def test_a_committed_package_is_what_the_compiler_writes(package: str, compiled: Path):
    found = differences(files(GENERATED / package), files(compiled / package))
    assert not found, f"run `make generated` and read the difference:\n{found}"


def test_a_committed_package_is_what_this_process_writes():
    """One of them at once, unverified, which takes a second."""
    bundled = next(bundled for bundled in BUNDLED if bundled.package == "coupling_flow")
    made = build(request(bundled.origin, ignore), bundled.package).files
    found = differences(files(GENERATED / bundled.package), made)
    assert not found, found


def test_nothing_else_is_committed():
    folders = {path.name for path in GENERATED.iterdir() if path.name not in CACHES}
    assert folders == {*PACKAGES, "README.md"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_committed_package_needs_torch_and_numpy_only(package: str):
    """Anything else, such as matplotlib for curves, is tried within `try` or `with suppress(ImportError)`."""
    for path in (GENERATED / package).rglob("*.py"):
        needed = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
        allowed = {"torch", "numpy"} | ({"pytest"} if path.name.startswith("test_") else set())
        assert needed - sys.stdlib_module_names <= allowed, path.name


def imported(tree: ast.Module) -> set[str]:
    tried = [node for node in ast.walk(tree) if isinstance(node, ast.Try | ast.With)]
    optional = {inner for node in tried for inner in ast.walk(node)}
    nodes = [node for node in ast.walk(tree) if node not in optional]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_committed_package_passes_its_own_tests(package: str, tmp_path: Path):
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(GENERATED / package)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_difference_names_the_file_and_shows_the_lines():
    committed = {"model.py": b"a\nb\n", "old.py": b"", "tensors.pt": b"\xff\x00"}
    compiled = {"model.py": b"a\nc\n", "new.py": b"", "tensors.pt": b"\xff"}
    found = differences(committed, compiled)
    assert "only committed: old.py" in found
    assert "only compiled: new.py" in found
    assert "+++ compiled/model.py" in found
    assert "-b\n+c\n" in found
    assert "tensors.pt: 2 committed bytes differ from 1 compiled ones" in found
    assert not differences(committed, committed)
