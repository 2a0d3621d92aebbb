"""Where in the user's code something happened: `file:line`, the file without its folder."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback

__all__ = ["blame", "definition", "in_standard_library", "is_foreign", "is_ours", "library"]

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Bundled models and recipes are a user's code like any other.
USER_CODE = tuple(os.path.join(HERE, folder) + os.sep for folder in ("examples", "recipes"))
STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + os.sep
PACKAGES = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))  # the latter is Debian's


def blame(error: BaseException) -> str | None:
    """The innermost line of the user's own files that an exception passed through; failing that, of a library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.basename(error.filename)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_foreign(frame.filename)]
    own = [frame for frame in frames if library(frame.filename) is None] or frames
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else None


def is_foreign(file: str) -> bool:
    """Whether a file is neither HyperGen's nor Python's."""
    return not (file.startswith("<") or is_ours(file) or in_standard_library(file))


def is_ours(file: str) -> bool:
    """Whether a file is HyperGen's own; bundled models and recipes are not."""
    return file.startswith(HERE) and not file.startswith(USER_CODE)


def in_standard_library(file: str) -> bool:
    return file.startswith(STANDARD_LIBRARY) and library(file) is None


def library(file: str) -> str | None:
    """The folder of the installed library that a file belongs to; None where it belongs to none."""
    found = (file.rpartition(folder)[2].partition(os.sep)[0] for folder in PACKAGES if folder in file)
    return next(found, None)


def definition(item: object) -> str | None:
    """Where a function is written, or a class's constructor, or a class without one."""
    target = vars(item).get("__init__", item) if isinstance(item, type) else inspect.unwrap(item)  # type: ignore[arg-type]
    try:
        return f"{os.path.basename(inspect.getsourcefile(target) or '')}:{inspect.getsourcelines(target)[1]}"
    except (TypeError, OSError):
        return None
