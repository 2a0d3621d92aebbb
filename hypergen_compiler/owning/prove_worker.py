"""Imports a package and runs its tests where nothing but what is allowed can be imported.

This file is run as a script, by a Python without site-packages. It reads one JSON object from stdin:

    {"folder": where the package's first folder lies, "package": its import path,
     "path": where to look for modules, "allowed": the top-level modules that may come from there}

The exit status is that of pytest.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

STANDARD = list(sys.path)


class AllowedFinder:
    """Finds the standard library and what is allowed; all else is as if it were not installed."""

    def __init__(self, allowed: set[str]):
        self.allowed = allowed

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if path is None and name not in self.allowed:
            return PathFinder.find_spec(name, STANDARD, target)
        return PathFinder.find_spec(name, path, target)

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()


def main() -> int:
    asked = json.load(sys.stdin)
    package, folder = asked["package"], Path(asked["folder"])
    sys.path[:] = [*STANDARD, str(folder), *asked["path"]]
    allowed = {*asked["allowed"], package.partition(".")[0]}
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, AllowedFinder(allowed)]
    place = folder.joinpath(*package.split("."))
    for file in sorted(place.glob("*.py")):
        if not file.stem.startswith(("test_", "__")):
            importlib.import_module(f"{package}.{file.stem}")
    pytest = importlib.import_module("pytest")
    options = ["-q", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-c", str(folder / "pytest.ini")]
    return pytest.main([*options, "--rootdir", str(folder), str(place)])


if __name__ == "__main__":
    sys.exit(main())
