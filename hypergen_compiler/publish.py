"""Puts a package where the user wants it: all of it or nothing, and never over something that is not HyperGen's."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.manifest import IGNORED, edited_files, read_manifest, unknown_files

__all__ = ["check_target", "staged", "swap_in", "write"]

EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS


def check_target(out: Path, *, force: bool) -> None:
    """Refuses a folder that cannot or must not be written, before any work is done.

    Raises HG501 for one that cannot be written, HG502 for one with files that HyperGen did not write and HG503 for one
    whose files were edited; with `force` only HG501.
    """
    if out.exists() and not out.is_dir():
        raise unwritable(out, "is a file")
    if Path.cwd().is_relative_to(out) or Path.home().is_relative_to(out):
        raise unwritable(out, "is the current folder, the home folder, or holds one of them")
    base = existing_parent(out)
    if not base.is_dir():
        raise unwritable(out, f"would lie in {base.name}, which is a file")
    if not os.access(base, os.W_OK | os.X_OK) or (out.exists() and not os.access(out, os.W_OK | os.X_OK)):
        raise unwritable(out, "lies in a folder without the right to write")
    if out.exists() and any(out.iterdir()) and not force:
        check_contents(out)


def check_contents(out: Path) -> None:
    try:
        manifest = read_manifest(out)
    except HyperGenError:
        manifest = {"files": {}}
    if unknown := unknown_files(out, manifest):
        raise HyperGenError(
            "HG502",
            f"{out.name} holds {listed(unknown)}, which HyperGen did not write",
            remedy="Name another folder or move these away; `--force` replaces the whole folder, and they are lost.",
        )
    if edited := edited_files(out, manifest):
        raise HyperGenError(
            "HG503",
            f"{listed(edited)} in {out.name} changed since HyperGen wrote the folder",
            remedy="`hypergen update` keeps your edits, and so does another folder; with `--force` they are lost.",
        )


@contextmanager
def staged(files: Mapping[str, bytes], out: Path, *, start: Path | None = None) -> Iterator[Path]:
    """The files in a temporary folder beside `out`, which is gone in the end unless it was swapped in.

    With `start` they are put over a copy of that folder, caches of tools aside.
    """
    base = existing_parent(out)
    remove_abandoned(base, out.name)
    folder = base / f".{out.name}.hypergen-{os.getpid()}"
    try:
        try:
            if start is None:
                folder.mkdir()
            else:
                shutil.copytree(start, folder, symlinks=True, ignore=shutil.ignore_patterns(*IGNORED))
            write(files, folder)
        except OSError as error:
            raise unwritable(out, f"cannot be written: {error.strerror or error}") from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes files below a folder; one that was a link becomes a file, and what it led to stays as it was."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if (folder / path).is_symlink():
            (folder / path).unlink()
        (folder / path).write_bytes(content)


def swap_in(folder: Path, out: Path) -> None:
    """Makes `folder` be `out`. An older `out` is exchanged in one step, so that there is always one, whole."""
    made = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists():
            exchange(folder, out)
        else:
            folder.rename(out)
    except OSError as error:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise unwritable(out, f"cannot be replaced: {error.strerror}") from error


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
    aside = new.with_name(new.name + "-old")
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    aside.rename(new)


def remove_abandoned(base: Path, name: str) -> None:
    """Clears up after compilers that were killed; a folder that was set aside is put back if nothing took its place."""
    pattern = re.compile(rf"\.{re.escape(name)}\.hypergen-(\d+)(-old)?")
    for path in sorted(base.glob(f".{name}.hypergen-*")):
        found = pattern.fullmatch(path.name)
        if found is None or is_running(int(found[1])):
            continue
        if found[2] and not (base / name).exists():
            path.rename(base / name)
        else:
            shutil.rmtree(path, ignore_errors=True)


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


def existing_parent(out: Path) -> Path:
    return next(parent for parent in out.parents if parent.exists())


def listed(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def unwritable(out: Path, why: str) -> HyperGenError:
    return HyperGenError(
        "HG501", f"{out.name or out} {why}", remedy="Name another folder with --out, or make this one writable."
    )
