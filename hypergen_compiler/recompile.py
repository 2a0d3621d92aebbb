"""From a package's folder back through the compiler: what HyperGen would write there now, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypergen_compiler.drift import Drift, find_drift
from hypergen_compiler.errors import HyperGenError, Progress
from hypergen_compiler.manifest import files_in, read_manifest
from hypergen_compiler.origin import Origin, origin_of
from hypergen_compiler.pipeline import Build, build
from hypergen_compiler.pristine import read_record
from hypergen_compiler.project import Target
from hypergen_compiler.request import request

__all__ = ["drift_of", "read_folder", "recompiled"]


def drift_of(folder: Path, progress: Progress, *, source: str | None = None, target: Target | None = None) -> Drift:
    """How a package's folder drifted from its record and from what HyperGen would write.

    It would be written as the `target` of a project says, by default as the manifest says, there with `source` in place
    of the model's. Raises HG504 if the folder is no package, HG603 if it cannot be compiled again.
    """
    manifest, disk = read_manifest(folder), read_folder(folder)
    if target is not None:
        manifest = {**manifest, "name": target.name}
    built = recompiled(manifest, origin_of(manifest, source) if target is None else target.origin, progress)
    return find_drift(read_record(read_manifest(folder), disk), disk, built.files)


def recompiled(manifest: Mapping[str, Any], origin: Origin, progress: Progress) -> Build:
    """A package compiled again under its name. Raises HG603 if its model or example cannot be found."""
    try:
        asked = request(origin, progress)
    except HyperGenError as error:
        raise HyperGenError(
            "HG603",
            f"{manifest['name']} cannot be compiled again from {origin.source}: {error.what}",
            where=error.where,
            remedy=error.remedy,
        ) from error
    return build(asked, manifest["name"], progress)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, caches of tools aside; links that lead to no file are empty."""
    return {path: (folder / path).read_bytes() if (folder / path).is_file() else b"" for path in files_in(folder)}
