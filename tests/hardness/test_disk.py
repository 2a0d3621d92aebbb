"""A full disk, a missing right, another compiler, a user's files: a code, and everything as it was."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hypergen_compiler import cli
from hypergen_compiler.errors import HyperGenError, ignore
from hypergen_compiler.owning import recompile, update
from hypergen_compiler.owning.recompile import read_folder
from hypergen_compiler.pipeline import publish_build
from hypergen_compiler.publishing import publish

from .children import give_up_rights, in_child, limit_files
from .test_stopped import Trusted, reset

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking a process that has threads

WIDE = """
import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def loss(self, x):
        return (x - self.scale).square().mean()

    def sample(self, n):
        return self.scale * torch.randn(n, 20000)
"""
COMPILE = ("compile", "nets.py:Net", "--example", "4", "--out")


@pytest.fixture
def scratch(tmp_path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def place(package, newer, tmp_path, monkeypatch) -> Path:
    """A folder with a package that HyperGen would now write differently."""
    monkeypatch.setattr(recompile, "build", lambda *given: newer)
    monkeypatch.setattr(update, "verified", lambda build: build)
    monkeypatch.syspath_prepend(Path.cwd())
    (tmp_path / "place").mkdir()
    return package.rename(tmp_path / "place" / "net")


def refusal(*arguments: object) -> str:
    """The code with which the command line refuses, and what it says; nothing but the code's form is expected."""
    done = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert "Traceback" not in done.stderr
    found = re.search(r"error\[(HG\d{3})\]: (.*)\n  \S", done.stderr)  # and a remedy
    return f"{done.exit_code} {found[1]} {found[2]}" if found else f"{done.exit_code} {done.stderr}"


def refused_in_child(prepare: Callable[[], None], scratch: Path, *arguments: object) -> str:
    def work() -> str:
        prepare()
        return refusal(*arguments)

    return in_child(work, scratch).text


class TestFullDisk:
    """Files cannot grow beyond some bytes: first temporary ones are too large, then the package's, then tensors'."""

    @pytest.mark.parametrize("stage", ["formatting", "writing"])
    def test_compiling(self, place, built, scratch, stage):
        sources = max(len(content) for path, content in built.files.items() if path.endswith(".py"))
        largest = max(map(len, built.files.values()))
        size, code, said = {
            "formatting": (10, "HG507", "the temporary folder cannot be written: File too large"),
            "writing": ((sources + largest) // 2, "HG501", "net cannot be written: File too large"),
        }[stage]
        before = read_folder(place)
        found = refused_in_child(lambda: limit_files(size), scratch, *COMPILE, place)
        assert found.startswith(f"2 {code} {said}")
        assert read_folder(place) == before and os.listdir(place.parent) == ["net"]

    @pytest.mark.parametrize(("options", "file"), [((), "request.pt"), (("--loss", "none"), "answer.pt")])
    def test_verifying_is_no_disagreement(self, scratch, tmp_path, monkeypatch, options, file):
        (tmp_path / "wide.py").write_text(WIDE)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        command = ("compile", "wide.py:Wide", "--example", "20000", *options, "--out", tmp_path / "place" / "wide")
        found = refused_in_child(lambda: limit_files(100_000), scratch, *command)
        assert found == f"2 HG507 the temporary folder cannot be written: no room for {file}"
        assert not (tmp_path / "place").exists()

    def test_updating(self, place, scratch):
        (place / "run.pt").write_bytes(bytes(50_000))
        before = read_folder(place)
        found = refused_in_child(lambda: limit_files(20_000), scratch, "update", place)
        assert found == "2 HG501 net cannot be written: File too large"
        assert read_folder(place) == before and os.listdir(place.parent) == ["net"]

    def test_inspecting_into_a_page(self, place, scratch):
        page = scratch / "page.html"
        found = refused_in_child(lambda: limit_files(100), scratch, "inspect", place, "--html", page)
        assert found.startswith("2 HG501") and "page.html cannot be written: File too large" in found


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 48 kilobytes, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


class TestSmallDisk:
    def test_no_room_for_a_package(self, place, disk):
        (disk / "net").mkdir()
        found = refusal(*COMPILE, disk / "net")
        assert found == "2 HG501 net cannot be written: No space left on device"
        assert os.listdir(disk) == ["net"] and os.listdir(disk / "net") == []

    def test_a_disk_that_is_read_only(self, place, disk):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert refusal(*COMPILE, disk / "net").startswith("2 HG501 net lies in a folder without the right to write")
        assert os.listdir(disk) == []


class TestRights:
    @pytest.mark.parametrize("rights", [0o444, 0o555])
    def test_a_package_that_may_not_be_written(self, place, scratch, rights):
        before = read_folder(place)
        place.chmod(rights)
        found = [refused_in_child(give_up_rights, scratch, *command, place) for command in (COMPILE, ("update",))]
        place.chmod(0o755)
        assert found[0].startswith("2 HG501 net ") and found[1].startswith("2 HG50")
        assert read_folder(place) == before and os.listdir(place.parent) == ["net"]

    def test_a_folder_around_that_may_not_be_written(self, place, scratch):
        before = read_folder(place)
        place.parent.chmod(0o555)
        for command in (COMPILE, ("update",)):
            found = refused_in_child(give_up_rights, scratch, *command, place)
            assert found == "2 HG501 net lies in a folder without the right to write"
        place.parent.chmod(0o755)
        assert read_folder(place) == before and os.listdir(place.parent) == ["net"]

    def test_a_file_that_may_not_be_read(self, place, scratch):
        before = read_folder(place)
        (place / "model.py").chmod(0)
        for command in ((*COMPILE, place), ("update", place), ("inspect", place), ("vendor", place, scratch / "other")):
            found = refused_in_child(give_up_rights, scratch, *command)
            assert re.match(r"2 HG50[17] .*Permission denied", found), found
        (place / "model.py").chmod(0o644)
        assert read_folder(place) == before and os.listdir(place.parent) == ["net"]

    def test_a_read_only_folder_within_is_replaced_and_leaves_nothing(self, place, newer, scratch):
        (place / "__pycache__").mkdir()
        (place / "__pycache__" / "model.pyc").touch()
        (place / "__pycache__").chmod(0o555)

        def work() -> str:
            give_up_rights()
            publish_build(Trusted(**vars(newer)), place, False, ignore, None)
            return "done"

        assert in_child(work, scratch).text == "done"
        assert read_folder(place) == newer.files and os.listdir(place.parent) == ["net"]


class TestTwoAtOnce:
    @pytest.mark.parametrize("start", ["nothing", "a package"])
    def test_one_of_the_two_is_there_whole(self, built, newer, tmp_path, start):
        folder = tmp_path / "place" / "net"
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            reset(folder, built.files if start == "a package" else {})
            barrier = context.Barrier(2)

            def work(build, barrier=barrier):
                barrier.wait()
                publish_build(Trusted(**vars(build)), folder, False, ignore, None)

            both = [context.Process(target=work, args=(build,)) for build in (built, newer)]
            for process in both:
                process.start()
            for process in both:
                process.join()
            assert [process.exitcode for process in both] == [0, 0]
            assert read_folder(folder) in (built.files, newer.files)
            assert os.listdir(folder.parent) == ["net"]

    def test_an_edit_at_the_last_moment_is_kept(self, built, newer, tmp_path, monkeypatch):
        folder = tmp_path / "place" / "net"
        reset(folder, built.files)
        exchange = publish.exchange

        def after_an_edit(new, old):
            (folder / "mine.txt").write_text("mine")
            monkeypatch.setattr(publish, "exchange", exchange)
            exchange(new, old)

        monkeypatch.setattr(publish, "exchange", after_an_edit)
        with pytest.raises(HyperGenError, match=r"HG502: net holds mine\.txt"):
            publish_build(Trusted(**vars(newer)), folder, False, ignore, None)
        assert read_folder(folder) == {**built.files, "mine.txt": b"mine"} and os.listdir(folder.parent) == ["net"]


class TestUsersFiles:
    def test_a_file_in_place_of_the_folder(self, place):
        file = place.parent / "file"
        file.write_text("mine")
        for out in (file, file / "net"):
            assert refusal(*COMPILE, out).startswith("2 HG501")
        assert file.read_text() == "mine"

    def test_edits_and_additions(self, place):
        (place / "model.py").write_text("mine\n")
        assert refusal(*COMPILE, place) == "2 HG503 model.py in net changed since HyperGen wrote the folder"
        (place / "mine.txt").write_text("mine")
        assert refusal(*COMPILE, place) == "2 HG502 net holds mine.txt, which HyperGen did not write"
        assert (place / "model.py").read_text() == "mine\n" and (place / "mine.txt").read_text() == "mine"
