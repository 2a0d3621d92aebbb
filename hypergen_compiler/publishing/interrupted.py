"""What compilers that were killed left beside a package, and how it is put right.

A package is made in `.NAME.hypergen-PROCESS` beside its folder. Where a system cannot exchange two folders in one
step, the older one is called `.NAME.hypergen-PROCESS-old` for a moment, in which there is no folder of its name.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["aside", "beside", "put_back", "remove", "remove_abandoned"]


def beside(out: Path) -> Path:
    """Where this process makes a package that becomes `out`."""
    return out.with_name(f".{out.name}.hypergen-{os.getpid()}")


def aside(folder: Path) -> Path:
    """Where an older package lies while the one in `folder` takes its place."""
    return folder.with_name(f"{folder.name}-old")


def put_back(out: Path) -> None:
    """Gives a package its name again that a killed compiler had set aside."""
    for path in abandoned(out):
        if path.name.endswith("-old") and not out.exists():
            with suppress(OSError):  # another process did it, or nobody may
                path.rename(out)


def remove_abandoned(out: Path) -> None:
    """Clears up after compilers that were killed."""
    put_back(out)
    for path in abandoned(out):
        remove(path)


def remove(folder: Path) -> None:
    """Removes a folder, also what lies in read-only ones below it."""
    for path, _, _ in os.walk(folder):
        with suppress(OSError):
            os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def abandoned(out: Path) -> Iterator[Path]:
    pattern = re.compile(rf"\.{re.escape(out.name)}\.hypergen-(\d+)(-old)?")
    with suppress(OSError):
        for name in sorted(os.listdir(out.parent)):
            found = pattern.fullmatch(name)
            if found is not None and not is_running(int(found[1])):
                yield out.with_name(name)


def is_running(process: int) -> bool:
    if os.name != "posix" or process == os.getpid():
        return process != os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
