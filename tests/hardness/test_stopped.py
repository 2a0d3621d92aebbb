"""Killed at any moment: the folder is the old one or the new one, whole, and the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hypergen_compiler import cli
from hypergen_compiler.errors import ignore
from hypergen_compiler.owning import recompile, update
from hypergen_compiler.owning.recompile import read_folder
from hypergen_compiler.pipeline import Build, publish_build
from hypergen_compiler.publishing import publish

from .children import events, in_child, killed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking a process that has threads

KILLS = 50  # for each of compile and update, with and without an exchange in one step: 200
COMPILES = 4  # of the whole command, which takes seconds


class Trusted(Build):
    """A build that needs no verification, which takes seconds and writes nothing beside the package."""

    def verify(self, folder, process=None):
        pass


@pytest.fixture(params=["in one step", "in steps"])
def exchanged(request, monkeypatch):
    if request.param == "in steps":
        monkeypatch.setattr(publish, "exchange", publish.exchange_in_steps)


@pytest.fixture
def scratch(tmp_path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def reset(folder: Path, files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def kill_often(work, folder: Path, scratch: Path, old, new) -> None:
    """Each time from the old package; what a killed process left is there for the next."""
    reset(folder, old)
    for moment in moments(events(work, scratch)):
        reset(folder, old)
        assert killed(work, moment, scratch)
        cli_reads(folder)
        assert read_folder(folder) in (old, new)
    reset(folder, old)
    work()
    assert read_folder(folder) == new and os.listdir(folder.parent) == [folder.name]


def moments(seen: list[str]) -> list[int]:
    """Before and after each step of a swap, and others at random."""
    swaps = [number for number, event in enumerate(seen) if event in ("os.rename", "ctypes.dlsym")]
    chosen = {moment for swap in swaps for moment in (swap, swap + 1) if moment < len(seen)}
    others = random.Random(0).choices(range(len(seen)), k=KILLS - len(chosen))
    return [*sorted(chosen), *others]


def cli_reads(folder: Path) -> None:
    """Any command finds the package, also where it was killed between two renames."""
    assert CliRunner().invoke(cli.app, ["inspect", str(folder), "--json"]).exit_code == 0


def test_compiling_into_a_folder(built, newer, tmp_path, scratch, exchanged):
    folder = tmp_path / "place" / "net"

    def work():
        publish_build(Trusted(**vars(newer)), folder, False, ignore, None)

    kill_often(work, folder, scratch, dict(built.files), dict(newer.files))


def test_updating_an_edited_folder(built, newer, home, tmp_path, scratch, exchanged, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(recompile, "build", lambda *given: newer)
    monkeypatch.setattr(update, "verified", lambda build: build)
    folder = tmp_path / "place" / "net"
    old = {**built.files, "notes/mine.txt": b"mine", "train.py": built.files["train.py"] + b"\nMINE = True\n"}
    reset(folder, old)
    update.update(folder, ignore)
    new = read_folder(folder)
    assert new["notes/mine.txt"] == b"mine" and b"MINE = True" in new["train.py"] and b"NEW_IN_9" in new["export.py"]
    kill_often(lambda: update.update(folder, ignore), folder, scratch, old, new)


def test_the_whole_command(built, home, tmp_path, scratch, monkeypatch):
    folder = tmp_path / "place" / "net"
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def work():
        command = ["compile", "nets.py:Net", "--example", "4", "--head", "dense", "--out", str(folder)]
        done = CliRunner().invoke(cli.app, command)
        assert done.exit_code == 0, done.output

    reset(folder, built.files)
    seen = len(events(work, scratch))
    new = read_folder(folder)
    assert seen and new != built.files
    for moment in random.Random(1).choices(range(seen), k=COMPILES):
        reset(folder, built.files)
        killed(work, moment, scratch)
        assert read_folder(folder) in (built.files, new)
    assert in_child(lambda: str(work()), scratch).status == 0
    assert read_folder(folder) == new and os.listdir(folder.parent) == ["net"]
