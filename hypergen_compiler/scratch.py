"""Temporary folders, and what is said where one cannot be written."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypergen_compiler.errors import HyperGenError

__all__ = ["FULL", "scratch", "unwritable_scratch"]

# Written to, these say that there is no room or no right, and not that a path is wrong.
FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
UNWRITABLE = FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A temporary folder that is gone in the end. Raises HG507 where it cannot be made or is full."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"hypergen-{purpose}-")
    except OSError as error:
        raise unwritable_scratch(error) from error
    with folder:
        try:
            yield Path(folder.name)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            raise unwritable_scratch(error) from error


def unwritable_scratch(error: OSError) -> HyperGenError:
    return HyperGenError(
        "HG507",
        f"the temporary folder cannot be written: {error.strerror or error}",
        remedy="Make room there, or let the environment variable TMPDIR name a folder with room; nothing was written.",
    )
