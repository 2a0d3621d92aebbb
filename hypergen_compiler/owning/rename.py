"""A package's texts under another import path. Only what people type differs: imports are relative."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["renamed"]


def renamed(files: Mapping[str, bytes], old: str, new: str) -> dict[str, bytes]:
    """The files of a package whose import path was `old`, such as `digits_vae` or `app.models.digits_vae`.

    The commands in docstrings and help texts are written anew, and the tests' file is called after the package.
    """
    commands = re.compile(rf"(?<![\w.]){re.escape(old)}(?=\.(?:train|export)\b)".encode())
    tests = re.compile(rf"(?<=pytest ){re.escape(last(old))}(?=\s)".encode())
    return {
        renamed_path(path, old, new): tests.sub(last(new).encode(), commands.sub(new.encode(), content))
        if path.endswith(".py")
        else content
        for path, content in files.items()
    }


def renamed_path(path: str, old: str, new: str) -> str:
    return f"test_{last(new)}.py" if path == f"test_{last(old)}.py" else path


def last(import_path: str) -> str:
    return import_path.rpartition(".")[2]
