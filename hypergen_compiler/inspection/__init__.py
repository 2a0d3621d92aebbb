"""Looking at a compiled package: in the terminal, and as a page of its own."""

from __future__ import annotations

from hypergen_compiler.inspection.page import inspection_page
from hypergen_compiler.inspection.tree import show_flow, show_modules

__all__ = ["inspection_page", "show_flow", "show_modules"]
