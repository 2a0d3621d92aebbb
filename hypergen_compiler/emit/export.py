"""`export.py`: plain weights for the user's own module."""

from __future__ import annotations

from hypergen_compiler.emit.batches import content
from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Program

__all__ = ["export"]


def export(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """The command that turns a run and a dataset into a state_dict."""
    return render(
        "export.py.j2",
        model=prose(program.model),
        package=Code(program.name),
        header=header(program),
        what=content(plan),
        critic=program.critic is not None,
    )
