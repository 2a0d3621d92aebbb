"""From a package's folder back through the compiler: what HyperGen would write there now, in memory."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import HyperGenError, HyperGenWarning, Progress
from hypergen_compiler.owning.drift import Drift, find_drift
from hypergen_compiler.owning.vendored import vendored_files
from hypergen_compiler.pipeline import Build, build
from hypergen_compiler.publishing.formatting import formatter
from hypergen_compiler.publishing.manifest import MANIFEST, files_in, read_manifest
from hypergen_compiler.publishing.pristine import read_record
from hypergen_compiler.request.origin import origin_of
from hypergen_compiler.request.project import Target
from hypergen_compiler.request.words import request

__all__ = ["drift_of", "read_folder", "recompiled"]


def drift_of(folder: Path, progress: Progress, *, source: str | None = None, target: Target | None = None) -> Drift:
    """How a package's folder drifted from its record and from what HyperGen would write.

    It would be written as the `target` of a project says, by default as the manifest says, there with `source` in place
    of the model's. Raises HG504 if the folder is no package, HG603 if it cannot be compiled again.
    """
    manifest, disk = read_manifest(folder), read_folder(folder)
    built = recompiled(manifest, progress, source=source, target=target)
    return find_drift(read_record(manifest, disk), disk, built.files)


def recompiled(
    manifest: Mapping[str, Any], progress: Progress, *, source: str | None = None, target: Target | None = None
) -> Build:
    """A package compiled again, as `drift_of` describes. Raises HG603 if its model or example cannot be found."""
    origin = origin_of(manifest, source) if target is None else target.origin
    name = manifest["name"] if target is None else target.name
    try:
        asked = replace(request(origin, progress), apart=fell_back(manifest))
    except HyperGenError as error:
        raise HyperGenError(
            "HG603",
            f"{name} cannot be compiled again from {origin.source}: {error.what}",
            where=error.where,
            remedy=error.remedy,
        ) from error
    warn_of_formatters(name, manifest["formatter"], formatter())
    if "vendored" not in manifest:
        return build(asked, name, progress)
    there = manifest["vendored"]
    built = build(asked, there["name"], progress)
    files = vendored_files(built.files, built.manifest, there["path"])
    return replace(built, files=files, manifest=json.loads(files[MANIFEST]))


def fell_back(manifest: Mapping[str, Any]) -> bool:
    """Whether datasets were found not to agree in one pass of the model."""
    return manifest["plan"].get("apart", False)


def warn_of_formatters(name: str, then: str | None, now: str | None) -> None:
    """Another formatter may break lines elsewhere, which would read as if HyperGen had changed."""
    if then != now:
        message = (
            f"{name} was formatted by {then or 'none'}, and now is by {now or 'none'}: its lines may differ in layout"
        )
        warnings.warn(message, HyperGenWarning, stacklevel=2)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, caches of tools aside; links that lead to no file are empty."""
    return {path: (folder / path).read_bytes() if (folder / path).is_file() else b"" for path in files_in(folder)}
