"""Compiles what words name: one package of a command line, or all of a project."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hypergen_compiler.errors import Progress
from hypergen_compiler.pipeline import publish
from hypergen_compiler.publishing.package import Package
from hypergen_compiler.publishing.publish import check_target
from hypergen_compiler.request.project import Target
from hypergen_compiler.request.words import request

__all__ = ["compile_targets"]


def compile_targets(targets: Sequence[Target], *, force: bool, progress: Progress) -> list[Package]:
    """Publishes each, in order; every folder is checked before the first model is imported.

    Ends at the first that is refused: packages before it are published, those behind it are as they were.
    """
    for target in targets:
        check_target(Path(os.path.realpath(target.out)), force=force)
    packages = []
    for target in targets:
        if len(targets) > 1:
            progress(f"compiling {target.out}")
        asked = request(target.origin, progress)
        packages.append(publish(asked, target.out, name=target.name, force=force, progress=progress))
    return packages
