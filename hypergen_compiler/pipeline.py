"""The pipeline from a model and its entry points, by way of a design, to a published package."""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypergen_compiler.checker import check_texts, require
from hypergen_compiler.design import Design, Request, design, planned
from hypergen_compiler.emit.files import emit
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.single_file import single_file
from hypergen_compiler.errors import HyperGenError, Progress, ignore
from hypergen_compiler.publishing.formatting import formatted, formatter
from hypergen_compiler.publishing.manifest import describe_package
from hypergen_compiler.publishing.package import Package
from hypergen_compiler.publishing.pristine import with_record
from hypergen_compiler.publishing.publish import check_contents, check_target, staged, swap_in
from hypergen_compiler.verification.process import VerificationProcess
from hypergen_compiler.verification.verify import verify_package

__all__ = [
    "Build",
    "DatasetsDiffer",
    "build",
    "package_name",
    "publish",
]

TRIED = (1, 3)  # batch sizes before publishing; entry points are recorded at others
UNUSABLE_NAMES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "hypergen_compiler", "pytest"})


@dataclass(frozen=True)
class Build:
    """A package before it is written: `files` are all of it, its manifest and the record of its texts included."""

    design: Design
    request: Request
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    def verify(self, folder: Path, process: VerificationProcess | None = None) -> None:
        """Compares the files, which lie in `folder`, with the model.

        Raises HG601 if they disagree, and DatasetsDiffer if they do but for the pass that several datasets share.
        """
        program = self.design.program
        result = verify_package(
            folder,
            self.manifest["name"],
            self.design.model,
            self.design.tried,
            batches=TRIED,
            start=True,
            modeless=[entry.name for entry in program.entries if not entry.knows_mode],
            only={entry.name: entry.only for entry in program.entries},
            loss=program.loss,
            process=process,
        )
        if result.failures and all(check.what == "together" for check in result.failures):
            raise DatasetsDiffer(result.failures[0].detail)
        result.require()

    def apart(self, progress: Progress = ignore) -> Build:
        """The same package, but each dataset goes through the model in a pass of its own."""
        request = replace(self.request, apart=True)
        layout, plan, together = planned(self.design.program, request)
        return emitted(replace(self.design, layout=layout, plan=plan, together=together), request, progress)


class DatasetsDiffer(Exception):
    """A pass over several datasets does not do what one over each does, as where a model compares its items."""


def publish(
    request: Request,
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    force: bool = False,
    progress: Progress = ignore,
) -> Package:
    """The whole pipeline; `progress` is told each stage as it begins."""
    target = Path(os.path.realpath(out))
    name = package_name(name, target.name)
    check_target(target, force=force)
    with VerificationProcess() as process:
        built = build(request, name, progress)
        try:
            return publish_build(built, target, force, progress, process)
        except DatasetsDiffer as difference:
            progress(f"giving each dataset a pass of its own, for one pass over several differs ({difference})")
    with VerificationProcess() as process:
        return publish_build(built.apart(progress), target, force, progress, process)


def publish_build(built: Build, target: Path, force: bool, progress: Progress, process: VerificationProcess) -> Package:
    """Verifies and publishes. Raises DatasetsDiffer if all is well but for the pass that datasets share."""
    with staged(built.files, target) as folder:
        progress("verifying it against the model")
        built.verify(folder, process)
        check_target(target, force=force)
        swap_in(folder, target, lambda old: None if force else check_contents(old, target.name))
    return Package(target, built.manifest, built.design.model, built.design.tried)


def build(request: Request, name: str, progress: Progress = ignore) -> Build:
    """The package in memory, unverified."""
    return emitted(design(request, name, progress), request, progress)


def emitted(found: Design, request: Request, progress: Progress) -> Build:
    progress("emitting the package")
    files = emit(found.program, found.layout, found.plan, found.together)
    require("emission", check_texts(files), found.program)
    files = formatted(files)
    if request.origin.single_file:
        files = formatted(single_file(files, found.program))
    manifest = describe_package(found, request.origin, formatter(), files)
    return Build(found, request, manifest, with_record(files, manifest))


def package_name(name: str | None, folder: str) -> str:
    """The given name, or one made from the folder's. Raises HG106 for one that Python cannot import or that would hide
    another module."""
    chosen = identifier(folder) if name is None else name
    if not chosen.isidentifier() or not chosen.isascii() or keyword.iskeyword(chosen) or chosen in UNUSABLE_NAMES:
        raise HyperGenError(
            "HG106",
            f"a package cannot be called {chosen!r}",
            remedy="Give an identifier that is no module of Python or torch, with `--name` or `name=`.",
        )
    return chosen
