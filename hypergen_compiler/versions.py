"""What HyperGen runs with here."""

from __future__ import annotations

import importlib.metadata
import platform

from hypergen_compiler.version import VERSION

__all__ = ["versions"]

LIBRARIES = ("torch", "numpy", "jinja2", "typer", "rich", "ruff", "pytest", "safetensors")


def versions() -> list[tuple[str, str]]:
    """(name, version) of HyperGen, Python, the system and the libraries that matter; `missing` for one not there."""
    own = [("hypergen", VERSION), ("python", platform.python_version()), ("system", platform.platform())]
    return own + [(name, installed(name)) for name in LIBRARIES]


def installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
