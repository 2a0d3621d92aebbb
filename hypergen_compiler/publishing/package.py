"""A published package: its folder, its manifest, and the modules in it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.publishing.manifest import BASE, MANIFEST, digest
from hypergen_compiler.verification.findings import Verification
from hypergen_compiler.verification.verify import verify_package

if TYPE_CHECKING:
    from hypergen_compiler.capture.entry import EntryPoint

__all__ = ["Package"]


@dataclass(frozen=True)
class Package:
    """What `hypergen.compile` published: the folder `path`, described by `manifest`, which is its `hypergen.json`."""

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)
    model: nn.Module = field(repr=False, compare=False)
    entry_points: tuple[EntryPoint, ...] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.manifest["name"]

    @property
    def files(self) -> dict[str, bytes]:
        """Every published file's path in the folder and its present content."""
        paths = {*self.manifest["files"], MANIFEST, *([BASE] if (self.path / BASE).is_file() else [])}
        return {path: (self.path / path).read_bytes() for path in sorted(paths)}

    def verify(self) -> Verification:
        """Compares the package, as it lies in its folder, with the model that it was compiled from."""
        only = {name: entry.get("only") for name, entry in self.manifest["entries"].items()}
        return verify_package(
            self.path, self.name, self.model, self.entry_points, only=only, loss=self.manifest["loss"]
        )

    def load(self) -> ModuleType:
        """The package, imported under its own name with all its modules: `package.load().model.loss(...)`.

        Imported anew if a file changed since the last time. Raises HG106 where another module has that name, HG602 if
        the import fails.
        """
        content = digest(b"".join(f"{path}:{digest(text)}".encode() for path, text in self.files.items()))
        known = sys.modules.get(self.name)
        if known is not None and getattr(known, "__hypergen__", None) == (str(self.path), content):
            return known
        if known is not None and not hasattr(known, "__hypergen__"):
            raise HyperGenError(
                "HG106",
                f"another module called {self.name!r} is imported already",
                remedy="Compile the package under another name.",
            )
        package = import_package(self.path, self.name)
        vars(package)["__hypergen__"] = (str(self.path), content)
        return package


def import_package(folder: Path, name: str) -> ModuleType:
    """Imports a folder under a name, whatever the folder is called, without writing bytecode into it.

    What was imported under the name before is forgotten first, or its modules would be taken for the folder's.
    """
    for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        del sys.modules[known]
    several = (folder / "__init__.py").is_file()
    specification = importlib.util.spec_from_file_location(
        name,
        folder / ("__init__.py" if several else f"{name}.py"),
        submodule_search_locations=[str(folder)] if several else None,
    )
    assert specification and specification.loader
    package = importlib.util.module_from_spec(specification)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[name] = package
    try:
        specification.loader.exec_module(package)
        for file in sorted(folder.glob("*.py")) if several else ():
            if not file.stem.startswith(("test_", "__")):
                importlib.import_module(f"{name}.{file.stem}")
    except Exception as error:
        del sys.modules[name]
        raise HyperGenError(
            "HG602",
            f"the package {name} does not import: {type(error).__name__}: {error}",
            remedy="Undo the last edit of its files, or compile the model again.",
        ) from error
    finally:
        sys.dont_write_bytecode = written
    return package
