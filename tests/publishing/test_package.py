"""Publishing: all or nothing, never over something that is not HyperGen's; and the manifest."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.owning.rebuild import dimension, example_of, setting
from hypergen_compiler.program import Affine
from hypergen_compiler.publishing import formatting, publish
from hypergen_compiler.publishing.formatting import formatted, formatter
from hypergen_compiler.publishing.manifest import (
    MANIFEST,
    as_setting,
    digest,
    edited_files,
    manifest_text,
    plain,
    read_manifest,
    relative,
    unknown_files,
)
from hypergen_compiler.publishing.package import Package, import_package
from hypergen_compiler.publishing.publish import check_target, staged, swap_in

COMMITTED = Path(__file__).parents[2] / "generated" / "conv_vae" / MANIFEST


def files(text: str) -> dict[str, bytes]:
    sources = {"__init__.py": b"", "model.py": f"VALUE = {text!r}\n".encode(), "deep/notes.txt": b"notes"}
    manifest = {
        **json.loads(COMMITTED.read_text()),
        "name": "small",
        "files": {path: digest(content) for path, content in sources.items()},
    }
    return sources | {MANIFEST: manifest_text(manifest)}


def put(out: Path, text: str, *, force: bool = False) -> None:
    check_target(out, force=force)
    with staged(files(text), out) as folder:
        swap_in(folder, out)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "place" / "small"


class TestPublishing:
    def test_a_new_folder_and_its_parents(self, out):
        put(out, "one")
        assert content(out) == files("one")
        assert os.listdir(out.parent) == ["small"] and os.listdir(out.parent.parent) == ["place"]
        assert out.stat().st_mode & 0o777 == 0o777 & ~current_umask()

    def test_an_empty_folder_and_an_older_package(self, out):
        out.mkdir(parents=True)
        for text in ("one", "two"):
            put(out, text)
            assert content(out) == files(text) and os.listdir(out.parent) == ["small"]

    def test_caches_of_tools_are_not_in_the_way(self, out):
        put(out, "one")
        (out / "__pycache__").mkdir()
        (out / "__pycache__" / "model.pyc").touch()
        put(out, "two")
        assert content(out) == files("two")

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
    @pytest.mark.parametrize("before", [None, "one"])
    def test_a_failure_leaves_everything_as_it_was(self, out, failure, before):
        if before:
            put(out, before)
        with pytest.raises(failure), staged(files("two"), out):
            raise failure
        assert [path.name for path in out.parent.parent.rglob("*") if "hypergen-" in path.name] == []
        assert content(out) == (files(before) if before else {}) and out.parent.exists() == bool(before)

    def test_a_failing_swap_puts_the_old_folder_back(self, out, monkeypatch):
        put(out, "one")
        monkeypatch.setattr(publish, "exchange", publish.exchange_in_steps)
        renamed = []

        def rename(self, target):
            renamed.append(target)
            if len(renamed) == 2:
                raise OSError(errno.EIO, "input/output error")
            os.rename(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(HyperGenError, match="HG501: small cannot be replaced: input/output error"):
            put(out, "two")
        assert content(out) == files("one") and os.listdir(out.parent) == ["small"]

    def test_a_swap_in_steps_does_the_same(self, out, monkeypatch):
        monkeypatch.setattr(publish, "exchange", publish.exchange_in_steps)
        put(out, "one")
        put(out, "two")
        assert content(out) == files("two") and os.listdir(out.parent) == ["small"]

    def test_a_full_disk(self, out, monkeypatch):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", write)
        with pytest.raises(HyperGenError, match="HG501: small cannot be written: No space left"):
            put(out, "one")
        assert not out.parent.exists() and os.listdir(out.parent.parent) == []

    def test_what_killed_compilers_left_is_cleared(self, out):
        put(out, "one")
        gone = finished_process()
        (out.parent / f".small.hypergen-{gone}").mkdir()
        (out.parent / f".small.hypergen-{os.getppid()}").mkdir()
        (out.parent / ".small.hypergen-notes").mkdir()
        put(out, "two")
        assert sorted(os.listdir(out.parent)) == [f".small.hypergen-{os.getppid()}", ".small.hypergen-notes", "small"]

    def test_a_folder_that_a_killed_compiler_set_aside_comes_back(self, out):
        put(out, "one")
        out.rename(out.parent / f".small.hypergen-{finished_process()}-old")
        with staged(files("two"), out):
            assert content(out) == files("one")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking a process that has threads
    def test_killed_at_any_moment(self, out):
        """The folder is the old one or the new one, whole."""
        put(out, "old")
        for moment in range(100):
            child = os.fork()
            while child == 0:
                put(out, "new")
                put(out, "old")
            time.sleep(0.0003 * moment)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            assert content(out) in (files("old"), files("new"))
        put(out, "last")
        assert content(out) == files("last") and os.listdir(out.parent) == ["small"]


class TestRefusals:
    def refused(self, out: Path, code: str, said: str, *, force: bool = False) -> None:
        before = content(out) if out.is_dir() else None
        with pytest.raises(HyperGenError, match=said) as caught:
            check_target(out, force=force)
        assert caught.value.code == code
        assert (content(out) if out.is_dir() else None) == before

    def test_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        self.refused(tmp_path / "file", "HG501", "file is a file", force=True)
        self.refused(tmp_path / "file" / "small", "HG501", "which is a file", force=True)

    def test_a_folder_that_holds_the_present_one(self, tmp_path, monkeypatch):
        (tmp_path / "inner").mkdir()
        monkeypatch.chdir(tmp_path / "inner")
        self.refused(tmp_path, "HG501", "is the current folder", force=True)
        self.refused(tmp_path / "inner", "HG501", "is the current folder", force=True)
        with pytest.raises(HyperGenError, match=r"HG501: .* the home folder"):
            check_target(Path.home(), force=True)

    def test_a_folder_without_the_right_to_write(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
        self.refused(tmp_path / "small", "HG501", "right to write", force=True)

    def test_a_foreign_folder(self, out):
        out.mkdir(parents=True)
        (out / "thesis.tex").touch()
        self.refused(out, "HG502", "small holds thesis.tex, which HyperGen did not write")
        put(out, "one", force=True)
        assert content(out) == files("one")

    def test_a_folder_with_somebody_elses_manifest(self, out):
        out.mkdir(parents=True)
        (out / MANIFEST).write_text("{}")
        self.refused(out, "HG502", MANIFEST)

    def test_files_added_to_a_package(self, out):
        put(out, "one")
        (out / "run").mkdir()
        for number in range(5):
            (out / "run" / f"{number}.pt").touch()
        self.refused(out, "HG502", r"run/0.pt, run/1.pt, run/2.pt and 2 more")

    def test_edited_and_deleted_files(self, out):
        put(out, "one")
        (out / "model.py").write_text("VALUE = 'mine'\n")
        (out / "deep" / "notes.txt").unlink()
        self.refused(out, "HG503", "deep/notes.txt, model.py in small changed")
        put(out, "two", force=True)
        assert content(out) == files("two")


class TestManifest:
    def test_text_is_sorted_and_keeps_short_lists_on_a_line(self):
        value = {"b": [1, 2, "n"], "a": [{"c": []}, "[ x ]", "é"], "d": [[1, 2], [3]]}
        text = manifest_text(value).decode()
        assert json.loads(text) == value and text.isascii() and text.endswith("}\n")
        assert '"b": [1, 2, "n"]' in text and text.index('"a"') < text.index('"b"') and '"[ x ]"' in text

    def test_only_what_a_package_holds_is_read(self, tmp_path):
        for wrong in (None, "", "[]", "{}", '{"package_api": 1}', '{"package_api": 2, "files": {}}'):
            if wrong is not None:
                (tmp_path / MANIFEST).write_text(wrong)
            with pytest.raises(HyperGenError, match="HG504"):
                read_manifest(tmp_path)

    def test_changes_are_seen(self, out):
        put(out, "one")
        manifest = read_manifest(out)
        assert edited_files(out, manifest) == [] and unknown_files(out, manifest) == []
        (out / "model.py").write_text("")
        (out / "extra.py").touch()
        assert edited_files(out, manifest) == ["model.py"] and unknown_files(out, manifest) == ["extra.py"]

    @pytest.mark.parametrize("value", [3, 0.5, "text", None, True, (1, 2), [1, (2, 3)], {"a": {1}}])
    def test_settings_come_back(self, value):
        found = setting(json.loads(json.dumps(as_setting(value))))
        assert found == value and type(found) is type(value)

    def test_no_absolute_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert relative("nets.py:Net") == "nets.py:Net" and relative("1x28x28") == "1x28x28" and relative(None) is None
        assert relative(str(tmp_path / "a" / "nets.py:Net")) == "a/nets.py:Net"
        assert relative("/elsewhere/nets.py:Net") == "nets.py:Net"

    def test_plain_values(self):
        value = {"shape": (1, 2), "dtype": torch.float32, "limit": float("inf"), "none": None}
        assert plain(value) == {"shape": [1, 2], "dtype": "float32", "limit": None, "none": None}

    def test_inputs_are_made_again(self):
        inputs = [
            {"name": "x", "shape": ["n", 3], "dtype": "float32", "low": -2.0, "high": 5.0},
            {"name": "t", "shape": ["2n+1"], "dtype": "int64", "low": 3, "high": 6},
            {"name": "mask", "shape": ["n"], "dtype": "bool", "low": 0, "high": 1},
            {"name": "n"},
            {"name": "scale", "value": 0.5},
        ]
        x, t, mask, n, scale = example_of({"inputs": inputs})(50)
        assert x.shape == (50, 3) and -2 <= x.min() < -1 and 4 < x.max() <= 5
        assert t.shape == (101,) and t.unique().tolist() == [3, 4, 5, 6]
        assert mask.dtype == torch.bool and mask.any() and not mask.all()
        assert (n, scale) == (50, 0.5)
        assert torch.equal(x, example_of({"inputs": inputs})(50)[0])
        with pytest.raises(HyperGenError, match="HG504"):
            dimension("m", 3)

    def test_dimensions(self):
        from hypergen_compiler.publishing.manifest import dimension_text

        for size in (4, Affine(1), Affine(2, 3), Affine(1, -1), Affine(3)):
            assert dimension(dimension_text(size), 7) == (size if isinstance(size, int) else size.at(7))


class TestLoading:
    def package(self, out: Path) -> Package:
        return Package(out, read_manifest(out), nn.Linear(1, 1), ())

    @pytest.fixture(autouse=True)
    def forget(self):
        yield
        for name in [name for name in sys.modules if name.split(".")[0] == "small"]:
            del sys.modules[name]

    def test_the_package_and_its_modules(self, out):
        put(out, "one")
        paths = list(sys.path)
        loaded = self.package(out).load()
        assert loaded.__name__ == "small" and loaded.model.VALUE == "one"
        assert sys.path == paths and not list(out.rglob("__pycache__"))
        assert self.package(out).load() is loaded

    def test_a_changed_folder_is_imported_anew(self, out):
        put(out, "one")
        loaded = self.package(out).load()
        put(out, "two")
        assert self.package(out).load().model.VALUE == "two" and loaded.model.VALUE == "one"

    def test_an_import_of_another_folder_has_modules_of_its_own(self, out):
        put(out, "one")
        first = import_package(out, "small")
        put(out, "two")
        assert import_package(out, "small").model.VALUE == "two" and first.model.VALUE == "one"

    def test_another_module_is_not_replaced(self, out, monkeypatch):
        put(out, "one")
        monkeypatch.setitem(sys.modules, "small", sys)
        with pytest.raises(HyperGenError, match="HG106"):
            self.package(out).load()

    def test_a_package_that_does_not_import(self, out):
        put(out, "one")
        (out / "model.py").write_text("1 / 0\n")
        with pytest.raises(HyperGenError, match=r"HG602: .*ZeroDivisionError"):
            self.package(out).load()
        assert "small" not in sys.modules

    def test_files(self, out):
        put(out, "one")
        assert self.package(out).files == files("one")


class TestFormatting:
    SOURCE = b"import sys\nimport os, json\nx = {'a':json}\n"

    def test_with_ruff(self):
        made = formatted({"a.py": self.SOURCE, "tensors.pt": b"\x00", "deep/b.py": b"x=1\n"})
        assert made == {"a.py": b'import json\n\nx = {"a": json}\n', "tensors.pt": b"\x00", "deep/b.py": b"x = 1\n"}
        assert formatter().startswith("ruff ")

    def test_without_ruff(self, monkeypatch):
        monkeypatch.setattr(formatting, "command", lambda: None)
        assert formatted({"a.py": self.SOURCE}) == {"a.py": self.SOURCE}
        assert formatter.__wrapped__() is None

    def test_the_users_configuration_does_not_matter(self, tmp_path, monkeypatch):
        (tmp_path / "ruff.toml").write_text('line-length = 20\n[format]\nquote-style = "single"\n')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        assert (
            formatted({"a.py": b'x = ["aaaaaaaaaaaa", "bbbbbbbbbbbbb"]\n'})["a.py"]
            == b'x = ["aaaaaaaaaaaa", "bbbbbbbbbbbbb"]\n'
        )

    def test_what_is_not_python_is_a_bug(self):
        with pytest.raises(HyperGenError, match="HG901"):
            formatted({"a.py": b"def (\n"})


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def finished_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
