"""One folded function as Python text."""

from __future__ import annotations

from hypergen_compiler.emit.flow import Flow
from hypergen_compiler.emit.nesting import nest_values
from hypergen_compiler.emit.printed import PrintedFunction
from hypergen_compiler.emit.printer import Printer
from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold import Function, Loop, plan_loops
from hypergen_compiler.program import Program

__all__ = ["print_function"]

LONGEST = 29  # lines of a body; a longer one takes `x = torch.cat((x, y)); x = block(x)` together
LONGEST_REPAIR = 200  # times that an over-long line may be taken apart


def print_function(
    function: Function, program: Program, records: dict[str, Records], taken: set[str]
) -> PrintedFunction:
    """Prints a function; what makes a line too long gets a statement of its own, until none is."""
    plan = plan_loops(function.model, records)
    printed = attempts(function, program, records, taken, plan, is_dense=False)
    if len(printed.body) <= LONGEST:
        return printed
    return attempts(function, program, records, taken, plan, is_dense=True)


def attempts(
    function: Function,
    program: Program,
    records: dict[str, Records],
    taken: set[str],
    plan: list[int | Loop],
    *,
    is_dense: bool,
) -> PrintedFunction:
    own_line: set[int] = set()
    for _ in range(LONGEST_REPAIR):
        flow = Flow(function, plan)
        nest_values(flow, own_line, is_dense=is_dense)
        printer = Printer(function, program, records, flow, taken)
        printed = printer.print()
        if not printer.too_long:
            break
        own_line |= printer.too_long
    return printed
