"""What the guides in docs/ show is run, page by page, each in an empty folder; the site builds without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ("tutorial", "training", "runs", "entry_points", "reading", "data", "commands", "audit")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"# ([\w/]+\.py)\n")
LONG = re.compile(r"--steps \d{4,}")  # what takes minutes, and is tried here with few steps
OPTIONAL = re.compile(r"^from (accelerate|lightning_fabric) import", re.MULTILINE)  # what need not be installed


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which `hypergen` is a command, also where the tests run without it being installed."""
    command = tmp_path / "bin" / "hypergen"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hypergen_compiler "$@"\n')
    command.chmod(0o755)
    search = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


@pytest.mark.parametrize("page", GUIDES)
def test_what_a_guide_shows_runs(page: str, tmp_path: Path, environment: dict[str, str]):
    folder = tmp_path / "work"
    folder.mkdir()
    shown = 0
    for language, text in FENCE.findall(LONG.sub("--steps 4", (ROOT / "docs" / f"{page}.md").read_text())):
        place = PLACE.match(text)
        needed = OPTIONAL.search(text)
        if language == "text" or (needed and find_spec(needed[1]) is None):
            continue
        shown += 1
        if place and place[1].startswith("generated/"):
            assert text[place.end() :].strip("\n") in (ROOT / place[1]).read_text(), (
                f"{place[1]} has no longer:\n{text}"
            )
        elif place:
            (folder / place[1]).write_text(text[place.end() :])
        elif language == "console":
            check_console(text, folder, environment)
        else:
            start = {"python": [sys.executable, "-c"], "sh": ["bash", "-euc"]}[language]
            done = subprocess.run([*start, text], cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    assert shown


def check_console(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Runs each `$` command; its output, messages before results, is as shown. `...` stands for any text."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
        got = "\n".join(line.rstrip() for line in (done.stderr + done.stdout).splitlines())
        pattern = ".*".join(map(re.escape, expected.rstrip("\n").split("...")))
        assert re.fullmatch(pattern, got.rstrip("\n"), re.DOTALL), f"$ {command}\n{got}"


@pytest.mark.skipif(find_spec("material") is None, reason="needs mkdocs-material")
def test_the_site_builds_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "tutorial.html").is_file()
