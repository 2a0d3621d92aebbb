"""Puts a mutant of a module into a running process: a function's code in place of the function's, or a whole module."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

__all__ = ["Mutated", "forget_results", "swap_function"]


def swap_function(module: ModuleType, text: str, path: Sequence[str]) -> None:
    """Gives a function the code that it has in another text of its module; `path` are its class and its own name."""
    code = compile(text, str(module.__file__), "exec")
    for name in path:
        code = next(part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name)
    found: Any = module
    for name in path:
        found = vars(found)[name]
    unwrapped(found).__code__ = code


def unwrapped(found: Any) -> Any:
    """The function that a property, a method or a decorator holds."""
    while not hasattr(found, "__code__") or hasattr(found, "__wrapped__"):
        inner = ("__wrapped__", "__func__", "fget", "func")
        found = next(getattr(found, name) for name in inner if hasattr(found, name))
    return found


def forget_results(package: str) -> None:
    """Empties the caches of a package's functions, which may hold what the code before gave."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == package]
    for found in [value for module in modules for value in vars(module).values()]:
        if isinstance(found, functools._lru_cache_wrapper):
            found.cache_clear()


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module from another text."""

    def __init__(self, name: str, file: Path, text: str):
        self.name, self.file, self.text = name, file, text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: str | bytes) -> bytes:
        return self.text.encode()

    def path_stats(self, path: str | bytes) -> dict[str, Any]:
        raise OSError  # so that no bytecode is read or written
