"""Functions that differ by optional parts become one: a residual block with and without a convolution on its shortcut.

The shorter function's items are found in the longer one's, in order. What is left over is an option if one value stands
in the place of its result, and if a module or an argument that the shorter does not have tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hypergen_compiler.emit.records import Records
from hypergen_compiler.fold.alignment import Alignment, is_harmless
from hypergen_compiler.fold.equality import explanation, number_places, split_group
from hypergen_compiler.fold.items import Function, Region
from hypergen_compiler.fold.loops import Loop, plan_loops
from hypergen_compiler.fold.option import Option

__all__ = ["merge_options"]

MOST_OPTIONS = 2


def merge_options(groups: list[list[Region]], records: dict[str, Records]) -> list[Function]:
    """A function for every group of equal regions, or for several groups that differ by optional parts."""
    functions: list[Function] = []
    for members in sorted(groups, key=lambda group: -len(group[0].body)):
        if not any(absorb(function, members, records) for function in functions):
            functions.append(Function(list(members)))
    order = {id(region): place for place, group in enumerate(groups) for region in group}
    return sorted(functions, key=lambda function: min(order[id(member)] for member in function.members))


def absorb(function: Function, members: list[Region], records: dict[str, Records]) -> bool:
    """Adds shorter regions to a function that only options tell apart from them; else it stays as it is."""
    full, short = function.model, members[0]
    if full.is_entry or short.is_entry or full.scope.code is not short.scope.code or full.grad != short.grad:
        return False
    own = [{space for space in records if region.bases[space] == region.scope.path} for region in (full, short)]
    if own[0] != own[1] or not len(full.body) / 2 <= len(short.body) < len(full.body):
        return False
    found = [Alignment.of(full, member, records) for member in members]
    if any(alignment is None for alignment in found):
        return False
    wanted = [list(options(alignment, records)) for alignment in found]
    every = list(dict.fromkeys([*function.options, *wanted[0]]))
    if any(None in some or some != wanted[0] for some in wanted) or len(every) > MOST_OPTIONS or overlap(every):
        return False
    before = [(member, member.body, member.arguments) for member in members]
    for member, alignment in zip(members, found, strict=True):
        member.body, member.arguments = alignment.body(), alignment.arguments()
    if not is_printable([*function.members, *members], every, records):
        for member, body, arguments in before:
            member.body, member.arguments = body, arguments
        return False
    function.members += members
    function.options = every
    return True


def options(alignment: Alignment, records: dict[str, Records]) -> Iterator[Option | None]:
    """What is left out, run by run; None for what can be no option."""
    body, pairs = alignment.full.body, alignment.pairs
    for left_out, run in groupby(range(len(body)), key=lambda place: pairs[place] is None):
        places = list(run)
        if left_out and not all(is_harmless(body[place]) for place in places):
            yield option(alignment, places[0], places[-1] + 1, records)


def option(alignment: Alignment, start: int, end: int, records: dict[str, Records]) -> Option | None:
    full = alignment.full
    made = [out for item in full.body[start:end] for out in item.outs]
    others = [*full.body[:start], *full.body[end:]]
    read = {leaf for item in others for leaf in item.leaves} | set(full.results)
    results = [out for out in made if out in read]
    if len(results) != 1 or results[0] not in alignment.instead:
        return None
    inside = dict.fromkeys(leaf for item in full.body[start:end] for leaf in item.leaves)
    fields = dict.fromkeys(filter(None, (alignment.lacking(leaf) for leaf in inside if leaf not in read)))
    missing = [place for place, leaf in enumerate(full.arguments) if leaf in inside and leaf not in alignment.bound]
    known = all(records[space].may_lack(alignment.paths(space), child) for space, child in fields)
    if not (fields or missing) or not known:
        return None
    return Option(start, end, results[0], alignment.instead[results[0]], tuple(fields), tuple(missing))


def overlap(found: list[Option]) -> bool:
    places = [place for option in found for place in range(option.start, option.end)]
    return len(places) != len(set(places))


def is_printable(members: list[Region], found: list[Option], records: dict[str, Records]) -> bool:
    """Whether regions that were made alike are one function, with options outside of loops and without numbers of
    the regions' own."""
    places = {place for option in found for place in range(option.start, option.end)}
    if len(split_group(members)) > 1:
        return False
    for i, j in number_places(members[0]):
        values = {member.body[i].leaves[j].key() for member in members}
        if i in places and len(values) > 1 and explanation(members, i, j) is None:
            return False
    loops = [part for part in plan_loops(members[0], records) if isinstance(part, Loop)]
    return not any(places & set(range(loop.start, loop.end)) for loop in loops)
