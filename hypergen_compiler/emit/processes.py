"""`processes.py`: training by several processes."""

from __future__ import annotations

from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.hypernetwork import has_one_matrix
from hypergen_compiler.emit.objective import has_chains
from hypergen_compiler.emit.text import Code, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.plan import Plan
from hypergen_compiler.program import Program

__all__ = ["processes"]


def processes(program: Program, layout: ParameterLayout, plan: Plan) -> str:
    """How processes share a step, and the head where it is one matrix."""
    return render(
        "processes.py.j2",
        package=Code(program.name),
        header=header(program),
        buffers=bool(program.buffers),
        sharded=has_one_matrix(plan),
        moments=plan.reads_moments,
        chains=has_chains(program, plan),
    )
