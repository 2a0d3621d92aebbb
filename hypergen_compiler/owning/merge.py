"""Three-way merge of a package: what HyperGen wrote, what the user made of it, and what HyperGen writes now."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.owning.stamps import differs_in_stamps_only, restamped
from hypergen_compiler.publishing.manifest import BASE, MANIFEST, digest
from hypergen_compiler.publishing.pristine import Pristine, is_text
from hypergen_compiler.scratch import scratch

__all__ = ["Merged", "Outcome", "git_merge", "merge_packages"]

MergeTexts = Callable[[bytes, bytes, bytes], tuple[bytes, int]]


@dataclass(frozen=True)
class Outcome:
    """What became of one file, in words; `conflict` where the user has to decide."""

    path: str
    what: str
    conflict: bool = False


@dataclass(frozen=True)
class Merged:
    """All files of the merged package, and the outcomes of those that are neither as they were nor simply removed."""

    files: Mapping[str, bytes]
    outcomes: tuple[Outcome, ...]

    @property
    def conflicts(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.conflict)


def merge_packages(
    pristine: Pristine, mine: Mapping[str, bytes], new: Mapping[str, bytes], merge_texts: MergeTexts
) -> Merged:
    """`pristine` to `mine` is what the user did, `pristine` to `new` what HyperGen does; both end up in the result.

    `merge_texts` is given mine, the base and the new text, and returns the merged one and its number of conflicts.
    """
    files: dict[str, bytes] = {path: new[path] for path in (MANIFEST, BASE)}
    outcomes = []
    for path in sorted({*pristine.digests, *mine, *new} - {MANIFEST, BASE}):
        written, outcome = merge_file(path, pristine, mine.get(path), new.get(path), merge_texts, mine.keys())
        files.update(written)
        if outcome is not None:
            outcomes.append(outcome)
    return Merged(files, tuple(outcomes))


def merge_file(
    path: str,
    pristine: Pristine,
    mine: bytes | None,
    new: bytes | None,
    merge_texts: MergeTexts,
    taken: Collection[str],
) -> tuple[dict[str, bytes], Outcome | None]:
    """What to write for one file, none of it over one of the `taken` paths, and what to say about it."""
    known = pristine.digests.get(path)
    edited = known != (None if mine is None else digest(mine))
    same, updated = compared(path, pristine, new)
    if mine == new or not edited:
        word = "removed" if new is None else "updated" if known else "added"
        return present(path, new), None if same else Outcome(path, word)
    if known is None and new is None:
        return present(path, mine), None
    if not updated:
        kept = restamped(mine, new) if mine is not None and new is not None and is_text(mine) else mine
        return present(path, kept), Outcome(path, "your edits kept" if mine is not None else "left out, as you did")
    return merge_both(path, pristine, mine, new, merge_texts, taken)


def merge_both(
    path: str,
    pristine: Pristine,
    mine: bytes | None,
    new: bytes | None,
    merge_texts: MergeTexts,
    taken: Collection[str],
) -> tuple[dict[str, bytes], Outcome]:
    """For a file that both sides changed, differently."""
    if mine is None:
        return present(path, new), Outcome(path, "conflict: you deleted it, HyperGen changed it; it is back", True)
    if new is None:
        return present(path, mine), Outcome(path, "conflict: you edited it, HyperGen no longer writes it", True)
    base = pristine.contents.get(path, b"") if path in pristine.digests else b""
    if not all(map(is_text, (mine, base, new))):
        beside = f"{path}.new"
        while beside in taken:
            beside += ".new"
        return {path: mine, beside: new}, Outcome(path, f"conflict: yours is kept, HyperGen's is {beside}", True)
    merged, conflicts = merge_texts(restamped(mine, new), restamped(base, new), new)
    if not conflicts:
        return {path: merged}, Outcome(path, "merged with your edits")
    return {path: merged}, Outcome(
        path, f"conflict: {conflicts} {'place' if conflicts == 1 else 'places'} marked", True
    )


def compared(path: str, pristine: Pristine, new: bytes | None) -> tuple[bool, bool]:
    """Whether HyperGen writes a file as before, and whether it changed more than a stamp."""
    known = pristine.digests.get(path)
    if known == (None if new is None else digest(new)):
        return True, False
    before = pristine.contents.get(path)
    if before is None or new is None:
        return False, True
    return False, not differs_in_stamps_only(path, before, new)


def present(path: str, content: bytes | None) -> dict[str, bytes]:
    return {} if content is None else {path: content}


def git_merge(mine: bytes, base: bytes, new: bytes) -> tuple[bytes, int]:
    """`git merge-file`, with the base between the two sides of a conflict. Raises HG506 without git."""
    if shutil.which("git") is None:
        raise HyperGenError("HG506", "git is not installed", remedy="Install it: `git merge-file` does the merging.")
    with scratch("merge") as folder:
        for name, content in (("mine", mine), ("base", base), ("new", new)):
            (folder / name).write_bytes(content)
        labels = [part for label in ("yours", "as it was written", "HyperGen's") for part in ("-L", label)]
        command = ["git", "merge-file", "-p", "--diff3", *labels, "mine", "base", "new"]
        # The user's configuration must not change what is written.
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    if done.returncode > 127:
        raise HyperGenError(
            "HG506",
            f"git merge-file fails: {done.stderr.decode(errors='replace').strip()}",
            remedy="Check that this git works; nothing was written.",
        )
    return done.stdout, done.returncode
