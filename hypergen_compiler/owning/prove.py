"""Proves that a package stands alone: imported and tested in a fresh process that has torch, numpy and pytest only."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.scratch import scratch

__all__ = ["prove"]

NEEDED = ("torch", "numpy", "pytest")


def prove(files: Mapping[str, bytes], path: str) -> str:
    """Imports a package under the import path `path` and runs its tests; returns such as `24 passed`.

    The packages around it are there, but empty: what they import is not this package's concern. Raises HG605 if the
    package does not import or a test fails, HG506 without pytest.
    """
    if find_spec("pytest") is None:
        raise HyperGenError("HG506", "pytest is not installed", remedy="Run `pip install pytest`: the tests need it.")
    with scratch("prove") as folder:
        place = folder.joinpath(*path.split("."))
        for name, content in {**files, **surroundings(path)}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        (folder / "pytest.ini").write_text("[pytest]\n")
        asked = {"folder": str(folder), "package": path, "path": search_path(), "allowed": sorted(allowed_modules())}
        done = run_alone(asked, folder)
    if done.returncode:
        raise HyperGenError(
            "HG605",
            f"{path} fails its own tests:\n{shortened(done.stdout + done.stderr)}",
            remedy="Correct the edits that cause this; `hypergen diff` shows them. Nothing was written.",
        )
    return re.findall(r"\d+ passed", done.stdout)[-1]


def surroundings(path: str) -> dict[str, bytes]:
    """The empty `__init__.py` of every package around, from the package's own folder."""
    return {f"{'../' * level}__init__.py": b"" for level in range(1, path.count(".") + 1)}


def run_alone(asked: dict[str, object], folder: Path) -> subprocess.CompletedProcess[str]:
    worker = Path(__file__).with_name("prove_worker.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(worker)],  # without site-packages and its .pth files, and no __pycache__
        input=json.dumps(asked),
        cwd=folder,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )


def search_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path if entry]


def allowed_modules() -> set[str]:
    """The top-level modules of what is needed, and of what that needs in turn."""
    modules, waiting, seen = set(NEEDED), list(NEEDED), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, or installed by other means
        modules |= {top_level(path) for path in distribution.files or ()}
        waiting += [required(text) for text in distribution.requires or () if "extra ==" not in text]
    return modules


def required(requirement: str) -> str:
    """`typing-extensions` of `typing-extensions>=4.10; python_version >= "3.10"`."""
    return re.match(r"[\w.-]+", requirement)[0].lower()


def top_level(path: PurePosixPath) -> str:
    return path.parts[0].partition(".")[0]


def shortened(output: str, lines: int = 12) -> str:
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-lines:])
