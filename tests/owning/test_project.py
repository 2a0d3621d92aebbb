"""`[tool.hypergen]`: what it may hold, and `hypergen compile` and `hypergen check` of a whole project."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hypergen_compiler import cli
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.project import OPTIONS, Target, find_project, targets_in

PROJECT = """
[project]
name = "mine"

[tool.hypergen.small]
source = "nets.py:Net"
example = "4"
out = "made/small"

[tool.hypergen.wide]
source = "nets.py:Net"
example = "4"
set = { width = 5 }
budget = "1MB"
"""


def test_every_option_is_that_of_the_command_line():
    text = """
    [tool.hypergen."vae"]
    source = "nets:Net"
    example = "1x8x8"
    out = "there/vae"
    loss = "elbo"
    sample = "none"
    entry = ["encode"]
    set = { width = 5, sizes = [1, 2] }
    budget = "64MB"
    allow-frozen = true
    recipe = "ddpm"
    recipe-set = { timesteps = 10 }
    """
    origin = Origin("nets:Net", {"width": 5, "sizes": [1, 2]}, "1x8x8", "elbo", "none", ["encode"], "64MB", True,
                    "ddpm", {"timesteps": 10})  # fmt: skip
    assert targets_in(text) == (Target("vae", Path("there/vae"), origin),)
    flags = {flag for command in ("compile",) for flag in options_of(command)}
    assert {f"--{option}" for option in OPTIONS if option != "source"} <= flags


def options_of(command: str) -> set[str]:
    from typer.main import get_command

    return {flag for item in get_command(cli.app).commands[command].params for flag in item.opts}


@pytest.mark.parametrize(
    ("text", "said", "where"),
    [
        ("[tool.hypergen", "pyproject.toml is no TOML", "pyproject.toml"),
        ("[tool.ruff]\n", "lists no packages", "pyproject.toml"),
        ("[tool]\nhypergen = 3\n", "lists no packages", "pyproject.toml"),
        ("[tool.hypergen]\nsource = 'a:B'\n", "[tool.hypergen.source] is no table", "pyproject.toml:1"),
        ("\n[tool.hypergen.vae]\nexample = '4'\n", "[tool.hypergen.vae] has no 'source'", "pyproject.toml:2"),
        ("\n\n[ tool . hypergen.'vae' ]\nsource = 'a:B'\n", "[tool.hypergen.vae] has no 'example'", "pyproject.toml:3"),
        ("[tool.hypergen.vae]\nexmaple = '4'\n", "has an unknown option 'exmaple'", "pyproject.toml:1"),
        ("[tool.hypergen.vae]\nsource = 4\n", "has source = 4, which is not a text", "pyproject.toml:1"),
        (
            "[tool.hypergen.vae]\nentry = 'encode'\n",
            "entry = 'encode', which is not a list",
            "pyproject.toml:1",
        ),
        ("[tool.hypergen.vae]\nentry = [1]\n", "which is not a list of texts", "pyproject.toml:1"),
        ("[tool.hypergen.vae]\nallow-frozen = 1\n", "which is not true or false", "pyproject.toml:1"),
        ("[tool.hypergen.vae]\nset = 'a=1'\n", "which is not a table", "pyproject.toml:1"),
        ("[tool.hypergen.vae]\nset = { day = 2020-01-01 }\n", "set.day = 2020-01-01, which is no", "pyproject.toml:1"),
        ("[tool.hypergen.vae]\nrecipe-set = { a = nan }\n", "recipe-set.a = nan, which is no", "pyproject.toml:1"),
    ],
)
def test_bad_tables(text, said, where):
    with pytest.raises(HyperGenError) as caught:
        targets_in(text)
    assert caught.value.code == "HG108" and said in caught.value.what and caught.value.where == where


def test_two_packages_cannot_share_a_folder():
    table = 'source = "a:B"\nexample = "4"\n'
    with pytest.raises(HyperGenError, match=r"HG108: \[tool.hypergen.b\] has the same `out`"):
        targets_in(f'[tool.hypergen.a]\n{table}[tool.hypergen.b]\n{table}out = "a"\n')


def test_the_nearest_project_above_is_found(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_project(tmp_path / "a" / "b") == tmp_path / "pyproject.toml"
    with pytest.raises(HyperGenError, match="HG108: there is no pyproject"):
        find_project(Path(tmp_path.anchor))


@pytest.fixture
def project(tmp_path, home, monkeypatch) -> Path:
    (tmp_path / "nets.py").write_bytes((home / "nets.py").read_bytes())
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTORCH_JIT", "0")
    yield tmp_path
    sys.modules.pop("nets", None)


def test_a_whole_project(project, run):
    before = run("check")
    assert before.exit_code == 1 and before.stdout == "made/small: not compiled\nwide: not compiled\n"
    done = run("compile")
    assert done.exit_code == 0, done.stderr
    assert "small in made/small" in done.stdout and "wide in wide" in done.stdout
    manifest = json.loads((project / "wide" / "hypergen.json").read_text())
    assert manifest["settings"] == {"width": 5} and manifest["options"]["budget"] == "1MB"
    checked = run("check")
    assert checked.exit_code == 0 and checked.stdout == "", checked.stdout

    (project / "pyproject.toml").write_text(PROJECT.replace("width = 5", "width = 6"))
    (project / "made" / "small" / "train.py").unlink()
    drifted = run("check")
    assert drifted.exit_code == 1
    lines = drifted.stdout.splitlines()
    assert "made/small/train.py: deleted" in lines and "wide/weights.py: out of date" in lines
    refused = run("compile")
    assert refused.exit_code == 2 and "error[HG503]: train.py in small changed" in refused.stderr
    assert refused.stdout == "" and run("check").stdout == drifted.stdout


def test_json(project, run):
    (project / "pyproject.toml").write_text(PROJECT[: PROJECT.index("[tool.hypergen.wide]")])
    found = json.loads(run("compile", "--json").stdout)["packages"]
    assert [(package["path"], package["name"]) for package in found] == [("made/small", "small")]


def test_wrong_input(project, run):
    assert run("compile", "--budget", "1MB").exit_code == 2
    assert run("compile", "nets.py:Net", "--out", "net").exit_code == 2
    (project / "pyproject.toml").write_text("[tool.hypergen.vae]\nsuorce = 1\n")
    for command in ("compile", "check"):
        done = run(command)
        assert done.exit_code == 2 and "error[HG108]: [tool.hypergen.vae] has an unknown option" in done.stderr
        assert "at pyproject.toml:1" in done.stderr


def test_the_help_names_the_project():
    assert "every package that pyproject.toml lists" in " ".join(
        CliRunner().invoke(cli.app, ["compile", "--help"]).stdout.split()
    )
