"""Which of the user's lines each line of an emitted model came from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypergen_compiler.inspection.functions import Function, Statement
from hypergen_compiler.program import Program

__all__ = ["Origins", "lines_behind", "scope_files"]

Origins = Mapping[int, tuple[str, ...]]  # a line of the model's file to lines of the user's, as `file:line`


def lines_behind(
    known: Mapping[str, Function],
    compiled: Mapping[str, Function],
    recorded: Mapping[str, Sequence[tuple[str, ...]]],
) -> dict[int, tuple[str, ...]]:
    """For the functions `known` from a file, by what was `recorded` of each statement as it is `compiled` now.

    Statements that somebody edited since have no lines behind them.
    """
    found: dict[int, tuple[str, ...]] = {}
    for name in known.keys() & compiled.keys() & recorded.keys():
        here, there = known[name].statements, compiled[name].statements
        for own, other, count in matching(here, there):
            for step in range(count):
                if other + step < len(recorded[name]):
                    statement, lines = here[own + step], recorded[name][other + step]
                    found |= {number: lines for number in range(statement.line, statement.end + 1) if lines}
    return found


def matching(here: Sequence[Statement], there: Sequence[Statement]) -> list[difflib.Match]:
    texts = [[statement.text for statement in part] for part in (here, there)]
    return difflib.SequenceMatcher(a=texts[0], b=texts[1], autojunk=False).get_matching_blocks()


def scope_files(program: Program) -> dict[str, Path]:
    """Name to path of the files whose functions ran while the program was recorded."""
    found: dict[str, Path] = {}
    for node in (node for entry in program.entries for graph in entry.graphs for node in graph.nodes):
        scope = node.meta.get("scope")
        while scope is not None and scope.code is not None:
            found.setdefault(Path(scope.code.co_filename).name, Path(scope.code.co_filename))
            scope = scope.parent
    return found
