"""`hypergen diff` and `hypergen check`: what they print, and their exit status."""

from __future__ import annotations

import json

import pytest

from hypergen_compiler.commands.show_drift import change_lines, show_drift
from hypergen_compiler.owning.drift import Change, Drift
from hypergen_compiler.publishing.manifest import BASE, MANIFEST


class TestCheck:
    def test_nothing_drifted(self, package, run):
        (package / "__pycache__").mkdir()
        (package / "__pycache__" / "model.pyc").touch()
        done = run("check", package)
        assert done.exit_code == 0 and done.stdout == ""
        done = run("diff", package)
        assert done.exit_code == 0 and done.stdout == "as HyperGen wrote it, and as it would write it now\n"

    def test_a_line_for_each_drift(self, package, run):
        (package / "model.py").write_text("mine\n")
        (package / "train.py").unlink()
        (package / "notes.txt").touch()
        done = run("check", package)
        assert done.exit_code == 1
        assert done.stdout.splitlines() == [
            f"{package}/model.py: edited",
            f"{package}/notes.txt: added",
            f"{package}/train.py: deleted",
        ]

    def test_the_model_changed(self, package, home, run, monkeypatch, tmp_path):
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        text = (home / "nets.py").read_text()
        (moved / "nets.py").write_text(text.replace("return self.back", "return 2 * self.back"))
        monkeypatch.chdir(moved)
        done = run("check", package)
        assert done.exit_code == 1 and done.stdout == f"{package}/model.py: out of date\n"
        (moved / "nets.py").rename(moved / "other.py")
        missing = run("check", package)
        assert (
            missing.exit_code == 2 and "error[HG603]: net cannot be compiled again from nets.py:Net" in missing.stderr
        )
        assert "nets.py cannot be imported" in missing.stderr
        named = run("diff", package, "other.py:Net")
        assert named.exit_code == 1 and "+    return 2 * layers.linear" in named.stdout

    def test_a_package_that_was_compiled_in_python(self, package, run):
        manifest = json.loads((package / MANIFEST).read_text())
        (package / MANIFEST).write_text(json.dumps({**manifest, "options": None}))
        (package / BASE).unlink()
        done = run("check", package)
        assert done.exit_code == 2 and "error[HG603]" in done.stderr and done.stdout == ""
        (package / MANIFEST).write_text(json.dumps({**manifest, "options": {**manifest["options"], "flavour": 1}}))
        done = run("diff", package)
        assert done.exit_code == 2 and "options that this HyperGen does not know: flavour" in done.stderr

    def test_another_formatter_is_warned_of(self, package, run, monkeypatch):
        from hypergen_compiler.owning import recompile

        monkeypatch.setattr(recompile, "formatter", lambda: None)
        done = run("check", package)
        assert done.exit_code == 0 and "warning: net was formatted by ruff" in done.stderr
        assert "now is by none" in done.stderr

    def test_no_package(self, run, tmp_path):
        for command in ("check", "diff"):
            done = run(command, tmp_path)
            assert done.exit_code == 2 and "error[HG504]" in done.stderr


def test_the_three_kinds_are_shown_apart(package, run, newer, monkeypatch):
    from hypergen_compiler.owning import recompile

    monkeypatch.setattr(recompile, "build", lambda *given: newer)
    (package / "model.py").write_text(
        (package / "model.py").read_text().replace("import torch\n", "import torch as t\n")
    )
    shown = run("diff", package)
    assert shown.exit_code == 1
    parts = [shown.stdout.index(text) for text in (
        "edited since HyperGen wrote it", "-import torch\n+import torch as t",
        "what HyperGen would now write differently", "+NEW_IN_9 = True", "only a version stamp changed", "  weights.py",
    )]  # fmt: skip
    assert parts == sorted(parts) and "9.9.9" not in shown.stdout
    lines = run("check", package).stdout.splitlines()
    assert f"{package}/export.py: out of date" in lines and f"{package}/{MANIFEST}: written by other versions" in lines


def test_colours():
    drift = Drift((Change("a.py", "changed", b"one\n", b"two\n"),), (), ())
    spans = [span.style for span in show_drift(drift).renderables[1].spans]
    assert "green" in spans and "red" in spans and "cyan" in spans


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Change("t.pt", "changed", b"\xff\x00", b"\xff"), "=== t.pt: changed, 2 -> 1 bytes"),
        (Change("a.py", "changed", None, b"x\n"), "=== a.py: changed; what HyperGen wrote is known only by its digest"),
        (Change("a.py", "changed", b"x\n", b"x\r\n"), "=== a.py: changed, in line ends alone"),
        (Change("a.py", "added", None, b""), "=== a.py: added, empty"),
    ],
)
def test_what_has_no_diff_is_said(change, line):
    assert list(change_lines(change)) == [line]


def test_whole_files_come_and_go():
    assert list(change_lines(Change("a.py", "added", None, b"x\n")))[:2] == ["--- /dev/null", "+++ b/a.py"]
    assert list(change_lines(Change("a.py", "deleted", b"x\n", None)))[:2] == ["--- a/a.py", "+++ /dev/null"]
