"""Folding: the flat graphs of a program to functions, each printed once, whose bodies are calls in order.

The user's functions become functions; equal ones, up to weights and numbers, become one. Everything is decided by
dataflow: what a function reads from outside is an argument, what outside reads from it is a result.
"""

from __future__ import annotations

from hypergen_compiler.fold.folder import Folded, FoldedEntry, fold
from hypergen_compiler.fold.items import Call, Function, Operation, Region
from hypergen_compiler.fold.leaves import Const, Constant, Leaf, Part, Weight
from hypergen_compiler.fold.loops import Column, Loop, plan_loops

__all__ = [
    "Call",
    "Column",
    "Const",
    "Constant",
    "Folded",
    "FoldedEntry",
    "Function",
    "Leaf",
    "Loop",
    "Operation",
    "Part",
    "Region",
    "Weight",
    "fold",
    "plan_loops",
]
