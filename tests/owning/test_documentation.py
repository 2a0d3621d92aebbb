"""docs/owning.md shows what really happens: its commands are run in their order, and every line is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(command: str, folder: Path, programs: Path) -> str:
    """What a command prints to stdout, and to stderr where it is no command of HyperGen's."""
    search = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}
    hypergens = command.startswith("hypergen")
    messages = subprocess.PIPE if hypergens else subprocess.STDOUT
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=messages, text=True
    )
    assert "error" not in (done.stderr or ""), done.stderr
    return done.stdout


def transcript(block: str, folder: Path, programs: Path) -> str:
    """A block's commands, each with what it prints now."""
    commands = [line for line in block.splitlines() if line.startswith("$ ")]
    outputs = [run(line[2:], folder, programs) for line in commands]
    lines = [line for pair in zip(commands, outputs, strict=True) for text in pair for line in text.splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def test_the_page_is_a_transcript(tmp_path, request):
    programs, folder = tmp_path / "bin", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    (programs / "hypergen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hypergen_compiler "$@"\n')
    (programs / "hypergen").chmod(0o755)
    path = ROOT / "docs" / "owning.md"
    page = path.read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "toml", "console"}
    for language, text in blocks:
        if language == "console":
            printed = transcript(text, folder, programs)
            if request.config.getoption("--keep"):
                page = page.replace(text, printed)
            else:
                assert printed == text
        else:
            name = re.match(r"# (\S+)\n", text)
            (folder / name[1]).write_text(text[name.end() :])
    if request.config.getoption("--keep"):
        path.write_text(page)
