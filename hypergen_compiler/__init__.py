"""HyperGen compiles a PyTorch generative model into a standalone package that trains a hypernetwork for it.

import hypergen_compiler as hypergen
package = hypergen.compile(model, example, out="vae_package")
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hypergen_compiler.version import VERSION as __version__

if TYPE_CHECKING:
    from hypergen_compiler.api import compile, plan, verify
    from hypergen_compiler.capture.steps import steps
    from hypergen_compiler.errors import HyperGenError, HyperGenWarning
    from hypergen_compiler.plan import Plan
    from hypergen_compiler.publishing.package import Package

__all__ = ["HyperGenError", "HyperGenWarning", "Package", "Plan", "__version__", "compile", "plan", "steps", "verify"]

HOMES = {
    "HyperGenError": "errors",
    "HyperGenWarning": "errors",
    "Package": "publishing.package",
    "Plan": "plan",
    "compile": "api",
    "plan": "api",
    "steps": "capture.steps",
    "verify": "api",
}


class LazyPackage(ModuleType):
    """This package, which imports torch only when it is used, so that `hypergen --help` answers at once."""

    def __getattr__(self, name: str) -> Any:
        if name not in HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{self.__name__}.{HOMES[name]}"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the module plan.py would otherwise put it where the function `plan` belongs.
        if not (name in HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = LazyPackage
