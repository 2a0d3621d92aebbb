"""`hypergen update`: all of it or nothing, and nothing of the user's is lost."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.owning import recompile, update
from hypergen_compiler.owning.recompile import read_folder
from hypergen_compiler.publishing import publish


@pytest.fixture
def outdated(package, newer, monkeypatch):
    """A package that HyperGen would now write differently."""
    monkeypatch.setattr(recompile, "build", lambda *given: newer)
    return package


def test_an_unedited_package_becomes_the_new_one(outdated, newer, run):
    done = run("update", outdated)
    assert done.exit_code == 0 and "export.py" in done.stdout and f"next: pytest {outdated}" in done.stdout
    assert read_folder(outdated) == newer.files
    assert os.listdir(outdated.parent) == ["net"]
    assert run("check", outdated).exit_code == 0


def test_conflicts_end_with_1_and_keep_both_sides(outdated, run):
    export = outdated / "export.py"
    export.write_text(export.read_text() + "\n\nMINE = True\n")
    (outdated / "train.py").unlink()
    done = run("update", outdated)
    assert (
        done.exit_code == 1 and "conflict: 1 place marked" in done.stdout and "1 file needs a decision" in done.stdout
    )
    text = export.read_text()
    assert "<<<<<<< yours" in text and "MINE = True" in text and "NEW_IN_9 = True" in text
    assert not (outdated / "train.py").exists()
    again = run("update", outdated)
    assert again.exit_code == 0 and export.read_text() == text


def test_links_rights_and_folders_stay(outdated, run, tmp_path):
    (outdated / "runs" / "empty").mkdir(parents=True)
    (outdated / "run.sh").write_text("#!/bin/sh\n")
    (outdated / "run.sh").chmod(0o755)
    (tmp_path / "data.npz").touch()
    (outdated / "data.npz").symlink_to(tmp_path / "data.npz")
    shared = tmp_path / "shared.py"
    shared.write_bytes((outdated / "export.py").read_bytes())
    before = shared.read_bytes()
    (outdated / "export.py").unlink()
    (outdated / "export.py").symlink_to(shared)
    assert run("update", outdated).exit_code == 0
    assert (outdated / "runs" / "empty").is_dir() and (outdated / "data.npz").is_symlink()
    assert os.access(outdated / "run.sh", os.X_OK)
    assert shared.read_bytes() == before and "NEW_IN_9" in (outdated / "export.py").read_text()


def test_a_failure_leaves_everything_as_it_was(outdated, run, monkeypatch):
    before = read_folder(outdated)

    def fail(*given):
        raise HyperGenError("HG501", "disk full", remedy="Make room.")

    monkeypatch.setattr(update, "swap_in", fail)
    assert run("update", outdated).exit_code == 2
    assert read_folder(outdated) == before and os.listdir(outdated.parent) == ["net"]


def test_a_file_that_changes_meanwhile_is_not_overwritten(outdated, run, monkeypatch):
    write = publish.write

    def and_edit(files, folder):
        write(files, folder)
        (outdated / "model.py").write_text("mine\n")

    monkeypatch.setattr(publish, "write", and_edit)
    done = run("update", outdated)
    assert done.exit_code == 2 and "error[HG503]" in done.stderr
    assert (outdated / "model.py").read_text() == "mine\n" and "NEW_IN_9" not in (outdated / "export.py").read_text()


def test_an_output_that_disagrees_with_the_model_is_not_merged(outdated, newer, run, monkeypatch):
    wrong = dict(newer.files)
    wrong["model.py"] = wrong["model.py"].replace(b"return layers.linear", b"return 2 * layers.linear")
    assert wrong["model.py"] != newer.files["model.py"]
    monkeypatch.setattr(recompile, "build", lambda *given: replace(newer, files=wrong))
    before = read_folder(outdated)
    done = run("update", outdated)
    assert done.exit_code == 1 and "error[HG601]" in done.stderr and read_folder(outdated) == before


def test_a_package_of_the_project_is_updated_to_its_table(package, home, run):
    project = home / "pyproject.toml"
    project.write_text(
        f'[tool.hypergen.net]\nsource = "nets.py:Net"\nexample = "4"\nset = {{ width = 5 }}\nout = "{package}"\n'
    )
    try:
        assert run("check", package).exit_code == 1 and run("diff", package).exit_code == 1
        done = run("update", package)
        assert done.exit_code == 0 and "weights.py" in done.stdout
        assert run("check", package).exit_code == 0 and "[5, 4]" in (package / "weights.py").read_text()
    finally:
        project.unlink()
