"""A package whose record was damaged anywhere: read as far as it can be, or refused, but no traceback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from hypergen_compiler import cli
from hypergen_compiler.publishing.manifest import MANIFEST

DAMAGES = 60
VALUES = [None, 3, -1, "x", "", [], {}, True, 1e308, "../../x", [[]], {"a": 1}, "9n", "\n[red]", "left out"]


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path to every value below."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from places(item, (*path, name))


def damaged(manifest: dict[str, Any], choice: random.Random) -> dict[str, Any]:
    found = copy.deepcopy(manifest)
    *path, last = choice.choice(list(places(found)))
    part: Any = found
    for name in path:
        part = part[name]
    part[last] = choice.choice(VALUES)
    if part[last] == "left out":
        del part[last]
    return found


def ended(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


def test_a_manifest_that_was_damaged_somewhere(package, tmp_path):
    manifest = json.loads((package / MANIFEST).read_text())
    choice = random.Random(0)
    codes = set()
    for _ in range(DAMAGES):
        (package / MANIFEST).write_text(json.dumps(damaged(manifest, choice)))
        code, said = ended("inspect", package, "--html", tmp_path / "page.html")
        assert code == 0 or "error[HG504]" in said
        codes.add(code)
    assert codes == {0, 2}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"null", b'{"files": {}}'])
@pytest.mark.parametrize("command", ["inspect", "verify", "diff", "check", "update"])
def test_something_else_in_place_of_a_manifest(package, command, content):
    (package / MANIFEST).write_bytes(content)
    code, said = ended(command, package)
    assert code == 2 and "error[HG504]" in said


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[", b"tool = 3", b"[tool]\nhypergen = 3", b"[tool.hypergen]\nnet = 3"])
def test_a_damaged_project(package, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes(text)
    code, said = ended("compile")
    assert code == 2 and "error[HG108]" in said
