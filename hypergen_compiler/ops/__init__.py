"""How operators print: one registry, one small file per family."""

from __future__ import annotations

from hypergen_compiler.ops import arithmetic, attributes, creation, indexing, shapes  # noqa: F401  (fill the registry)
from hypergen_compiler.ops.expression import ATOM, Expression, parenthesized
from hypergen_compiler.ops.registry import Invocation, print_call, registered

__all__ = ["ATOM", "Expression", "Invocation", "parenthesized", "print_call", "registered"]
