"""Copies a package into another project, once it is proved to work there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.owning.prove import prove
from hypergen_compiler.owning.recompile import read_folder
from hypergen_compiler.owning.vendored import import_path, vendored_copy
from hypergen_compiler.pipeline import package_name
from hypergen_compiler.publishing.manifest import read_manifest
from hypergen_compiler.publishing.pristine import known_record
from hypergen_compiler.publishing.publish import check_contents, check_target, staged, swap_in

__all__ = ["Vendored", "vendor"]


@dataclass(frozen=True)
class Vendored:
    """A copy in another project: its folder, its import path there, and what its tests said."""

    folder: Path
    path: str
    tests: str


def vendor(folder: Path, destination: Path, progress: Progress) -> Vendored:
    """Copies the package in `folder`, with its edits, to `destination`, whose place in its project names it.

    Raises HG106 for a name that Python cannot import, HG501 to HG503 for a destination that must not be written, HG504
    for a single file, HG505 if the package's record is lost and HG605 if it does not pass its own tests there; then
    nothing was written.
    """
    target = Path(os.path.realpath(destination))
    package_name(target.name, target.name)
    manifest, disk = read_manifest(folder), read_folder(folder)
    if "__init__.py" not in manifest["files"]:
        raise HyperGenError(
            "HG504",
            f"{folder.name} holds a single file, which is no package",
            remedy="Paste it with its tensors.pt, or compile the model without --single-file.",
        )
    if target.is_relative_to(folder.resolve()):
        raise HyperGenError("HG501", f"{target.name} lies in the package itself", remedy="Name a folder elsewhere.")
    check_target(target, force=False)
    path = import_path(target)
    files = vendored_copy(known_record(manifest, disk), disk, path)
    progress(f"testing it as {path} with torch, numpy and pytest alone")
    tests = prove(files, path)
    with staged(files, target) as copy:
        check_target(target, force=False)
        swap_in(copy, target, lambda old: check_contents(old, target.name))
    return Vendored(destination, path, tests)
