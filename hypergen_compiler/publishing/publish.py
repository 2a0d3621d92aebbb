"""Puts a package where the user wants it: all of it or nothing, and never over something that is not HyperGen's."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.publishing.interrupted import aside, beside, put_back, remove, remove_abandoned
from hypergen_compiler.publishing.manifest import IGNORED, edited_files, read_manifest, unknown_files

__all__ = ["check_contents", "check_target", "staged", "swap_in", "write"]

EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS


def check_target(out: Path, *, force: bool) -> None:
    """Refuses a folder that cannot or must not be written, before any work is done.

    Raises HG501 for one that cannot be written, HG502 for one with files that HyperGen did not write and HG503 for one
    whose files were edited; with `force` only HG501. What a killed compiler had set aside is put back first.
    """
    put_back(out)
    if out.exists() and not out.is_dir():
        raise unwritable(out, "is a file")
    home = Path(os.path.expanduser("~"))
    if Path.cwd().is_relative_to(out) or home.is_relative_to(out):
        raise unwritable(out, "is the current folder, the home folder, or holds one of them")
    base = existing_parent(out)
    if not base.is_dir():
        raise unwritable(out, f"would lie in {base.name}, which is a file")
    if not os.access(base, os.W_OK | os.X_OK):
        raise unwritable(out, "lies in a folder without the right to write")
    if out.exists() and not os.access(out, os.R_OK | os.W_OK | os.X_OK):
        raise unwritable(out, "is a folder without the right to read and write")
    if out.exists() and not force:
        check_contents(out, out.name)


def check_contents(folder: Path, name: str) -> None:
    """Refuses, as `check_target` does, to lose what a user has in a folder that is called `name`."""
    manifest: Mapping[str, Any] | None = None
    unknown: list[str] = []
    edited: list[str] = []
    while manifest != (found := manifest_in(folder)):  # again if another compiler has just put its package there
        manifest = found
        try:
            unknown, edited = unknown_files(folder, manifest), edited_files(folder, manifest)
        except OSError as error:
            raise unwritable(folder, f"cannot be read: {error.strerror}") from error
    if unknown:
        raise HyperGenError(
            "HG502",
            f"{name} holds {listed(unknown)}, which HyperGen did not write",
            remedy="Name another folder or move these away; `--force` replaces the whole folder, and they are lost.",
        )
    if edited:
        raise HyperGenError(
            "HG503",
            f"{listed(edited)} in {name} changed since HyperGen wrote the folder",
            remedy="`hypergen update` keeps your edits, and so does another folder; with `--force` they are lost.",
        )


def manifest_in(folder: Path) -> Mapping[str, Any]:
    try:
        return read_manifest(folder)
    except HyperGenError:
        return {"files": {}}


@contextmanager
def staged(files: Mapping[str, bytes], out: Path, *, start: Path | None = None) -> Iterator[Path]:
    """The files in a temporary folder beside `out`, which is gone in the end unless it was swapped in.

    With `start` they are put over a copy of that folder, caches of tools aside.
    """
    made = [parent for parent in out.parents if not parent.exists()]
    folder = beside(out)
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(out)
            if start is None:
                folder.mkdir()
            else:
                shutil.copytree(start, folder, symlinks=True, ignore=shutil.ignore_patterns(*IGNORED))
            write(files, folder)
        except (OSError, shutil.Error) as error:
            raise unwritable(out, f"cannot be written: {reason(error)}") from error
        yield folder
    finally:
        remove(folder)
        for parent in made:
            with suppress(OSError):  # by now it holds something
                parent.rmdir()


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes files below a folder; one that was a link becomes a file, and what it led to stays as it was."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if (folder / path).is_symlink():
            (folder / path).unlink()
        (folder / path).write_bytes(content)


def swap_in(folder: Path, out: Path, check: Callable[[Path], None] = lambda old: None) -> None:
    """Makes `folder` be `out`. An older `out` is exchanged in one step, so that there is always one, whole.

    `check` is given the older one once nobody can change it under its name. If it raises, that is put back.
    """
    try:
        replaced = not took_free_name(folder, out)
        if replaced:
            exchange(folder, out)
    except OSError as error:
        raise unwritable(out, f"cannot be replaced: {error.strerror}") from error
    if replaced:
        try:
            check(folder)
        except HyperGenError:
            exchange(folder, out)
            raise


def took_free_name(folder: Path, out: Path) -> bool:
    """Renames a folder to `out`, unless there is one: also one that another compiler has just put there."""
    if out.exists():
        return False
    try:
        folder.rename(out)
    except OSError:
        if out.exists():
            return False
        raise
    return True


def exchange(new: Path, old: Path) -> None:
    """Swaps two folders, by one system call where there is one."""
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    names = os.fsencode(new), os.fsencode(old)
    here = -100  # AT_FDCWD, which absolute paths do not use
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        done = library.renameat2(here, names[0], here, names[1], EXCHANGE) == 0
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        done = library.renamex_np(*names, EXCHANGE) == 0
    else:
        done = False
    if not done:  # a file system or a system without it
        exchange_in_steps(new, old)


def exchange_in_steps(new: Path, old: Path) -> None:
    """Killed in between, it leaves the older one where `put_back` finds it."""
    old.rename(aside(new))
    try:
        new.rename(old)
    except BaseException:
        aside(new).rename(old)
        raise
    aside(new).rename(new)


def existing_parent(out: Path) -> Path:
    return next(parent for parent in out.parents if parent.exists())


def listed(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def reason(error: OSError) -> str:
    """What the system says; of a copy of many files, about the first that failed, which Python tells as a text."""
    first = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or error
    return re.sub(r"^\[Errno \d+\] |: .*", "", str(first))


def unwritable(out: Path, why: str) -> HyperGenError:
    remedy = "Name another folder, or see to it that this one can be written and the disk has room."
    return HyperGenError("HG501", f"{out.name or out} {why}", remedy=remedy)
