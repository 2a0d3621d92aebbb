"""The checker: what each stage of the compiler hands on is tested against what it promises, before the next one runs.

Each `check_` function is pure and returns what it found, so that nothing is published once one of them found anything:
`require` makes it an internal error that names the stage.
"""

from __future__ import annotations

from hypergen_compiler.checker.functions import check_functions
from hypergen_compiler.checker.graphs import check_graphs
from hypergen_compiler.checker.layouts import check_layout
from hypergen_compiler.checker.plans import check_plan
from hypergen_compiler.checker.running import check_runs
from hypergen_compiler.checker.texts import check_texts
from hypergen_compiler.checker.violations import Violation, require

__all__ = [
    "Violation",
    "check_functions",
    "check_graphs",
    "check_layout",
    "check_plan",
    "check_runs",
    "check_texts",
    "require",
]
