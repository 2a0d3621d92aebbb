"""What README.md shows is run, in its order and in an empty folder, and its excerpts are what is committed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """A fenced block; `file` is the path in a first line such as `# my_vae.py`."""

    language: str
    file: str | None
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    named = [(language, re.match(r"# ([\w/]+\.py)\n", text), text) for language, text in found]
    return [Block(language, name and name[1], text[name.end() :] if name else text) for language, name, text in named]


def test_everything_it_shows_runs(tmp_path: Path):
    command = tmp_path / "bin" / "hypergen"  # as installing makes it, also where the tests run without that
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hypergen_compiler "$@"\n')
    command.chmod(0o755)
    search = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT)}
    folder = tmp_path / "work"
    folder.mkdir()
    ran = []
    for block in blocks():
        if block.file is not None:
            if not block.file.startswith("generated/"):
                (folder / block.file).write_text(block.text)
            continue
        start = {"python": [sys.executable, "-c"], "sh": ["bash", "-euc"]}[block.language]
        done = subprocess.run([*start, block.text], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        ran.append(block.language)
    assert {"python", "sh"} <= set(ran)


def test_its_excerpts_are_what_is_committed():
    excerpts = [block for block in blocks() if block.file is not None and block.file.startswith("generated/")]
    assert excerpts
    for block in excerpts:
        for part in block.text.split("\n\n\n"):
            assert part.strip("\n") in (ROOT / block.file).read_text(), f"{block.file} no longer holds:\n{part}"
