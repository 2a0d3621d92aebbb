"""Objects named by text: `package.module:Name` or `path/to/file.py:Name`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.where import blame

__all__ = ["bound", "import_function", "import_named", "is_reference", "module_of", "qualified"]


def is_reference(text: str) -> bool:
    place, colon, name = text.rpartition(":")
    return bool(colon and place) and all(part.isidentifier() for part in name.split("."))


def qualified(reference: str) -> str:
    """`source_model.ResVAE` for `path/to/source_model.py:ResVAE`."""
    place, _, name = reference.rpartition(":")
    return f"{Path(place).stem if is_file(place) else place}.{name}"


def module_of(reference: str) -> ModuleType | None:
    """The module of a reference that was imported before."""
    place = reference.rpartition(":")[0]
    return sys.modules.get(module_name(Path(place).resolve())[1] if is_file(place) else place)


def import_named(reference: str) -> Any:
    """The object that a reference names; modules beside the current folder are importable.

    Raises HG101 if the module cannot be imported and HG102 if it has no such name.
    """
    if not is_reference(reference):
        raise HyperGenError(
            "HG101",
            f"{reference!r} names no object of a module",
            remedy="Write `package.module:Name` or `path/to/file.py:Name`.",
        )
    place, _, name = reference.rpartition(":")
    found: Any = import_place(place)
    names = [name for name, value in vars(found).items() if not name.startswith("_") and callable(value)]
    for part in name.split("."):
        if not hasattr(found, part):
            raise HyperGenError(
                "HG102",
                f"{place} has no {name!r}",
                where=f"{Path(place).name}:1" if is_file(place) else None,
                remedy=f"It has {', '.join(names[:12]) or 'nothing that can be called'}.",
            )
        found = getattr(found, part)
    return found


def import_function(reference: str) -> Callable[..., Any]:
    """The function that a reference names. Raises HG101 and HG102 as `import_named`, also for what cannot be called."""
    found = import_named(reference)
    if not callable(found):
        raise HyperGenError("HG102", f"{reference} is no function", remedy="Name a function of (model, *inputs).")
    return found


def bound(model: Any, call: str) -> Callable[..., Any] | None:
    """A method of the model, or a referenced function as if it were one; None where the model has none."""
    return functools.partial(import_function(call), model) if is_reference(call) else getattr(model, call, None)


def is_file(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def import_place(place: str) -> ModuleType:
    try:
        make_importable(Path.cwd())
        return import_file(Path(place).resolve()) if is_file(place) else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        absent = isinstance(error, FileNotFoundError) and blame(error) is None
        unknown = isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}.")
        raise HyperGenError(
            "HG101",
            f"{place} cannot be imported: {error if absent else f'{type(error).__name__}: {error}'}",
            where=blame(error),
            remedy="Check the spelling, and run HyperGen in a folder from which Python finds it."
            if absent or unknown
            else "Make it import on its own first, with the same Python that runs HyperGen.",
        ) from error


def import_file(path: Path) -> ModuleType:
    """A file as a module, within its package where it lies in one, so that its relative imports work."""
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    root, name = module_name(path)
    make_importable(root)
    if "." in name:
        return importlib.import_module(name)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    previous = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        # Not by the loader, whose bytecode cache takes a file changed within a second for the old one.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        if previous is not None:
            sys.modules[name] = previous
        raise
    return module


def module_name(path: Path) -> tuple[Path, str]:
    """The folder to import from and the dotted name there."""
    root, name = path.parent, path.stem
    while (root / "__init__.py").is_file():
        root, name = root.parent, f"{root.name}.{name}"
    return root, name


def make_importable(folder: Path) -> None:
    """For good: models may import more when they run."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
