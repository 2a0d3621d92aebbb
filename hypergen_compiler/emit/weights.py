"""`weights.py`: the records of weights and buffers, and the layout of the flat buffer."""

from __future__ import annotations

from hypergen_compiler.emit.header import header
from hypergen_compiler.emit.layout_rows import gained_rows, layout_rows
from hypergen_compiler.emit.literals import literal
from hypergen_compiler.emit.objective import samples_from_statistics
from hypergen_compiler.emit.record_text import record_text
from hypergen_compiler.emit.records import Records
from hypergen_compiler.emit.state import buffer_attributes, buffer_table, state_text, transient_text
from hypergen_compiler.emit.stored import needs_file
from hypergen_compiler.emit.text import Code, prose, render
from hypergen_compiler.layout import ParameterLayout
from hypergen_compiler.program import Program

__all__ = ["weights"]


def weights(program: Program, layout: ParameterLayout, records: dict[str, Records], together: bool = False) -> str:
    """The file's text; `together` adds what makes the weights of several datasets for one pass."""
    tree, state = records["w"], records["state"]
    names = buffer_attributes(program, state)
    gained = frozenset(slot.name for slot in layout.slots if together and slot.gain is not None)
    return render(
        "weights.py.j2",
        header=header(program),
        model=prose(program.model),
        records=Code("\n\n\n".join(record_text(record, gained) for record in tree.classes)),
        state_records=Code("".join(f"{record_text(r)}\n\n\n" for r in state.classes if r is not state.root)),
        rows=Code("\n".join(layout_rows(layout))),
        size=Code(str(layout.size)),
        emitted=Code("SIZE" if layout.trained == layout.size else str(layout.trained)),
        conditioned=layout.conditioned if together or layout.conditioned < layout.trained else None,
        critic=layout.critic,
        together=together,
        gains=layout.gains,
        gained_rows=Code("\n".join(gained_rows(layout))),
        step=Code(str(64 // layout.dtype.itemsize)),
        tied=tied_text(layout),
        dtype=literal(layout.dtype),
        state=Code(state_text(program, state, names)),
        constants=Code("yes") if any(needs_file(value) for value in program.constants.values()) else None,
        buffers=Code("yes") if program.buffers else None,
        from_statistics=samples_from_statistics(program),
        buffer_names=Code(buffer_table(program, names)),
        transient=Code(transient_text(program, names)) if any(not b.persistent for b in program.buffers) else None,
    )


def tied_text(layout: ParameterLayout) -> Code | None:
    """The further names of parameters, each with the first, where there are any."""
    pairs = [f"{literal(alias)}: {literal(slot.name)}" for slot in layout.slots for alias in slot.aliases]
    return Code(f"{{{', '.join(pairs)}}}") if pairs else None
