"""Formats emitted files with ruff where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.scratch import scratch

__all__ = ["formatted", "formatter"]

LINE_LENGTH = 120


def formatted(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with every `.py` file's imports sorted, unused ones removed, and its lines laid out.

    Without ruff they stay as they are. Raises HG901 for a file that is not Python.
    """
    ruff = command()
    sources = [path for path in files if path.endswith(".py")]
    if ruff is None or not sources:
        return dict(files)
    with scratch("format") as folder:
        for path in sources:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(files[path])
        width = ["--line-length", str(LINE_LENGTH)]
        run([*ruff, "check", "--select", "I,F401", *width, "--fix", "--quiet", "--exit-zero"], folder)
        run([*ruff, "format", *width, "--quiet"], folder)
        return dict(files) | {path: (folder / path).read_bytes() for path in sources}


def run(arguments: list[str], folder: Path) -> None:
    # Isolated: a configuration of the user's must not change what is emitted.
    done = subprocess.run([*arguments, "--isolated", "--no-cache", "."], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise HyperGenError(
            "HG901",
            f"an emitted file cannot be formatted: {done.stderr.strip()}",
            remedy="Please report this as a bug of HyperGen, with the model.",
        )


@cache
def formatter() -> str | None:
    """`ruff 0.12.0`, or None where there is none."""
    ruff = command()
    if ruff is None:
        return None
    return subprocess.run([*ruff, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def command() -> list[str] | None:
    if find_spec("ruff"):
        return [sys.executable, "-m", "ruff"]
    executable = shutil.which("ruff")
    return [executable] if executable else None
