"""What a person sees of a package's drift: three kinds of it, apart, each as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from hypergen_compiler.owning.drift import Change, Drift
from hypergen_compiler.publishing.pristine import is_text

__all__ = ["drift_lines", "show_drift"]

STYLES = {"+": "green", "-": "red", "@": "cyan"}
EDITS = {"added": "added", "deleted": "deleted", "changed": "edited"}
UPDATES = {"added": "new in HyperGen's output", "deleted": "no longer in HyperGen's output", "changed": "out of date"}
STAMPS = {"changed": "written by other versions"}


def drift_lines(folder: Path, drift: Drift) -> list[str]:
    """`package/model.py: edited`, one line for each file and kind of drift."""
    kinds = ((drift.edits, EDITS), (drift.updates, UPDATES), (drift.stamps, STAMPS))
    return [f"{folder / change.path}: {words[change.kind]}" for changes, words in kinds for change in changes]


def show_drift(drift: Drift) -> RenderableType:
    """Edits, updates and stamps under headings; a sentence where there is nothing."""
    if not drift:
        return Text("as HyperGen wrote it, and as it would write it now")
    parts: list[RenderableType] = []
    if drift.edits:
        parts += [heading("edited since HyperGen wrote it"), *map(show_change, drift.edits)]
    if drift.updates:
        parts += [heading("what HyperGen would now write differently"), *map(show_change, drift.updates)]
    if drift.stamps:
        paths = [Text(f"  {change.path}", style="yellow") for change in drift.stamps]
        parts += [heading("only a version stamp changed"), *paths]
    return Group(*parts)


def heading(text: str) -> Text:
    return Text(text, style="bold reverse")


def show_change(change: Change) -> Text:
    shown = Text(no_wrap=True, overflow="ignore")
    for line in change_lines(change):
        style = "bold" if line.startswith(("+++", "---", "===")) else STYLES.get(line[:1])
        shown.append(f"{line}\n", style=style)
    return shown


def change_lines(change: Change) -> Iterator[str]:
    """A unified diff of texts; for other files, and for what is no longer known, a line that says so."""
    contents = [b"" if content is None else content for content in (change.before, change.after)]
    if change.kind != "added" and change.before is None:
        yield f"=== {change.path}: {change.kind}; what HyperGen wrote is known only by its digest"
    elif not all(map(is_text, contents)):
        yield f"=== {change.path}: {change.kind}, {len(contents[0]):,} -> {len(contents[1]):,} bytes"
    else:
        old, new = (content.decode().splitlines() for content in contents)
        lines = list(difflib.unified_diff(old, new, *names(change), lineterm=""))
        yield from lines or [f"=== {change.path}: {change.kind}, {'in line ends alone' if any(contents) else 'empty'}"]


def names(change: Change) -> tuple[str, str]:
    before = "/dev/null" if change.before is None else f"a/{change.path}"
    return before, "/dev/null" if change.after is None else f"b/{change.path}"
