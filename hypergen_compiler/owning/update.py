"""Brings a package up to date and keeps the user's edits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.owning.merge import Outcome, git_merge, merge_packages
from hypergen_compiler.owning.recompile import read_folder, recompiled
from hypergen_compiler.pipeline import Build, DatasetsDiffer
from hypergen_compiler.publishing.manifest import BASE, digest, read_manifest
from hypergen_compiler.publishing.pristine import known_record
from hypergen_compiler.publishing.publish import check_target, staged, swap_in, write
from hypergen_compiler.request.project import Target
from hypergen_compiler.scratch import scratch

__all__ = ["Update", "update"]


@dataclass(frozen=True)
class Update:
    """What became of the files of a package; empty where it was up to date."""

    outcomes: tuple[Outcome, ...]

    @property
    def conflicts(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.conflict)


def verified(built: Build) -> Build:
    """The build, or the one with a pass for each dataset if only that agrees with the model."""
    with scratch("update") as folder:
        write(built.files, folder)
        try:
            built.verify(folder)
            return built
        except DatasetsDiffer:
            return verified(built.apart())


def update(folder: Path, progress: Progress, *, source: str | None = None, target: Target | None = None) -> Update:
    """Compiles a package again, verifies the result, and merges it with what lies in the folder, in one swap.

    Compiled from the `target` of a project, or as the manifest says, there with `source` in place of the model's.
    Raises HG505 if the package's record is lost, HG503 if a file changes meanwhile, and whatever `compile` raises; then
    nothing was written.
    """
    place = Path(os.path.realpath(folder))
    manifest, disk = read_manifest(place), read_folder(place)
    pristine = known_record(manifest, disk)
    check_target(place, force=True)
    built = recompiled(manifest, progress, source=source, target=target)
    new = {path: digest(content) for path, content in built.files.items() if path != BASE}
    if new == {path: known for path, known in pristine.digests.items() if path != BASE}:
        return Update(())
    progress("verifying HyperGen's side against the model")
    built = verified(built)
    merged = merge_packages(pristine, disk, built.files, git_merge)
    changed = {path: content for path, content in merged.files.items() if disk.get(path) != content}
    with staged(changed, place, start=place) as copy:
        for path in disk.keys() - merged.files.keys():
            (copy / path).unlink()
        check_unchanged(place, disk, folder)
        swap_in(copy, place, lambda old: check_unchanged(old, disk, folder))
    return Update(merged.outcomes)


def check_unchanged(place: Path, disk: Mapping[str, bytes], folder: Path) -> None:
    if read_folder(place) != disk:
        raise HyperGenError("HG503", f"{folder} changed meanwhile", remedy="Run `hypergen update` once more.")
