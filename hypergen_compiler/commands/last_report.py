"""`hypergen doctor`: what HyperGen runs with here, and the report of the last internal error."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hypergen_compiler.errors import InternalError
from hypergen_compiler.versions import versions

__all__ = ["keep_report", "kept_report", "write_report"]


def keep_report(error: InternalError) -> None:
    """Keeps an error's report for `doctor`, where this user's caches are; without the right to write there, nowhere."""
    with suppress(OSError):
        report_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        report_file().write_text(f"{error}\n\n{error.report}")


def kept_report() -> str | None:
    """The report of the last internal error, if there was one."""
    with suppress(OSError):
        return report_file().read_text()
    return None


def report_file() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "hypergen" / "internal_error.txt"


def write_report(file: Path) -> None:
    """Writes the last internal error's report, or, where there was none, what HyperGen runs with."""
    file.write_text(kept_report() or "".join(f"{name}: {version}\n" for name, version in versions()))
