"""The records of a program's weights and buffers, with what some modules of a class lack as optional fields.

Which parts are optional shows when functions are folded: those of functions that differ by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hypergen_compiler.emit.record_builder import build_records
from hypergen_compiler.emit.records import Records, join
from hypergen_compiler.fold import Folded, Function, fold
from hypergen_compiler.fold.leaves import Part, Weight
from hypergen_compiler.program import Program

__all__ = ["all_records"]

Parts = dict[str, dict[str, tuple[str, ...]]]  # by space and module's path


def all_records(program: Program) -> dict[str, Records]:
    """The records of weights (`w`) and of buffers (`state`)."""
    plain = built(program, {})
    undecided = {space: replace(records, optional=None) for space, records in plain.items()}
    wanted = optional_parts(fold(program, undecided))
    while any(wanted.values()):
        for parts in (of_all_modules(program, wanted), wanted):
            records = built(program, parts)
            unsafe = set(read_anyway(fold(program, records), records))
            if not unsafe:
                return records
        wanted = without(wanted, unsafe)
    return plain


def built(program: Program, optional: Mapping[str, Mapping[str, tuple[str, ...]]]) -> dict[str, Records]:
    parameters = {parameter.name: tuple(parameter.value.shape) for parameter in program.parameters}
    buffers = {buffer.name: tuple(buffer.value.shape) for buffer in program.buffers}
    return {
        "w": build_records(program, parameters, "Weights", "", optional.get("w")),
        "state": build_records(program, buffers, "State", "State", optional.get("state")),
    }


def optional_parts(folded: Folded) -> Parts:
    """What the modules of functions with options may lack."""
    found: Parts = {"w": {}, "state": {}}
    for function in folded.functions:
        for space, part in dict.fromkeys(field for option in function.options for field in option.fields):
            for member in function.members:
                path = member.bases[space]
                found[space][path] = tuple(dict.fromkeys((*found[space].get(path, ()), part)))
    return found


def of_all_modules(program: Program, wanted: Parts) -> Parts:
    """The same parts for all modules of the classes, those that no entry point reads among them."""
    classes = {module.path: module.name for module in program.modules}
    found: Parts = {}
    for space, paths in wanted.items():
        parts = {classes.get(path): some for path, some in paths.items()}
        found[space] = {path: parts[name] for path, name in classes.items() if name in parts} | paths
    return found


def read_anyway(folded: Folded, records: Mapping[str, Records]) -> Iterator[tuple[str, str]]:
    """(space, part) of what is read elsewhere than where it is known to be there."""
    for function in folded.functions:
        for position, item in enumerate(function.model.body):
            for leaf in item.leaves:
                if isinstance(leaf, Weight | Part):
                    yield from unguarded(leaf, function, position, records[leaf[0]])


def unguarded(leaf: Weight | Part, function: Function, position: int, records: Records) -> Iterator[tuple[str, str]]:
    space, name = leaf
    option = function.option_at(position)
    for path, parts in (records.optional or {}).items():
        for part in parts:
            inside = join(path, part)
            if name != inside and not name.startswith(f"{inside}."):
                continue
            known = option is not None and (space, part) in option.fields and function.model.bases[space] == path
            within = function.model.bases[space] == inside or function.model.bases[space].startswith(f"{inside}.")
            if not known and not within:
                yield space, part


def without(wanted: Parts, unsafe: set[tuple[str, str]]) -> Parts:
    kept = {
        space: {path: tuple(part for part in parts if (space, part) not in unsafe) for path, parts in paths.items()}
        for space, paths in wanted.items()
    }
    return {space: {path: parts for path, parts in paths.items() if parts} for space, paths in kept.items()}
