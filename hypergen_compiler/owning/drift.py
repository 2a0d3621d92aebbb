"""How a package drifted apart: from what HyperGen wrote to the folder, and to what HyperGen would write now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hypergen_compiler.owning.stamps import VERSIONS, differs_in_stamps_only, restamped, unstamped
from hypergen_compiler.publishing.manifest import BASE, MANIFEST, digest
from hypergen_compiler.publishing.pristine import Pristine

__all__ = ["Change", "Drift", "find_drift"]


@dataclass(frozen=True)
class Change:
    """One file of two states of a package: `added`, `deleted` or `changed`.

    The contents are None where the file is absent, and `before` also where it is no longer known.
    """

    path: str
    kind: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True)
class Drift:
    """`edits` made since the package was written, `updates` that HyperGen would now write, and `stamps`, the updates
    that are nothing but other version numbers.
    """

    edits: tuple[Change, ...]
    updates: tuple[Change, ...]
    stamps: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.edits or self.updates or self.stamps)


def find_drift(pristine: Pristine, disk: Mapping[str, bytes], rebuilt: Mapping[str, bytes]) -> Drift:
    """What the user did is `pristine` to `disk`, what HyperGen would do `pristine` to `rebuilt`."""
    updates = tuple(change for change in updates_of(pristine, rebuilt) if not is_silent(change))
    stamps = tuple(change for change in updates if is_stamp(change))
    return Drift(
        edits_of(pristine, disk),
        tuple(without_stamp(change) for change in updates if change not in stamps),
        stamps,
    )


def edits_of(pristine: Pristine, disk: Mapping[str, bytes]) -> tuple[Change, ...]:
    expected = pristine.digests if pristine.archived else {**pristine.digests, BASE: None}
    return changes(expected, disk, pristine.contents)


def updates_of(pristine: Pristine, rebuilt: Mapping[str, bytes]) -> tuple[Change, ...]:
    """The archive follows from the other files."""
    before = {path: known for path, known in pristine.digests.items() if path != BASE}
    after = {path: content for path, content in rebuilt.items() if path != BASE}
    return changes(before, after, pristine.contents)


def changes(
    before: Mapping[str, str | None], after: Mapping[str, bytes], contents: Mapping[str, bytes]
) -> tuple[Change, ...]:
    """From files known by their digests, and by what is known of their contents, to others."""
    found = []
    for path in sorted({*before, *after}):
        old, new = contents.get(path), after.get(path)
        if path not in before:
            found.append(Change(path, "added", None, new))
        elif new is None:
            found.append(Change(path, "deleted", old, None))
        elif digest(new) != before[path]:
            found.append(Change(path, "changed", old, new))
    return tuple(found)


def is_stamp(change: Change) -> bool:
    both = change.before is not None and change.after is not None
    return both and differs_in_stamps_only(change.path, change.before, change.after)


def is_silent(change: Change) -> bool:
    """A manifest that differs in the other files' digests alone says nothing that those files do not."""
    if change.path != MANIFEST or not is_stamp(change):
        return False
    before, after = json.loads(change.before), json.loads(change.after)
    return all(before.get(name) == after.get(name) for name in VERSIONS)


def without_stamp(change: Change) -> Change:
    """The same change without what belongs to the versions, so that it shows only what matters."""
    if change.before is None or change.after is None:
        return change
    if change.path == MANIFEST:
        return Change(change.path, change.kind, unstamped(change.before), unstamped(change.after))
    return Change(change.path, change.kind, restamped(change.before, change.after), change.after)
