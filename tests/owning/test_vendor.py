"""A package in another project: it stands alone there, and keeps up with HyperGen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypergen_compiler.owning import prove, recompile
from hypergen_compiler.owning.rename import renamed
from hypergen_compiler.owning.vendored import LICENCE, import_path, vendored_copy
from hypergen_compiler.publishing.manifest import BASE, MANIFEST, digest, manifest_text
from hypergen_compiler.publishing.pristine import read_record

ROOT = Path(prove.__file__).parents[2]


def content(folder: Path) -> dict[str, bytes]:
    return recompile.read_folder(folder)


@pytest.fixture
def models(tmp_path) -> Path:
    """The folder `app/models` of a scratch project, whose `app` needs what is not installed."""
    folder = tmp_path / "project" / "src" / "app" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("import a_web_framework\n")
    (folder / "__init__.py").touch()
    return folder


class TestNames:
    def test_renaming_gives_what_compiling_under_the_other_name_gives(self, built, build_net):
        other = build_net("other")
        texts = {path: text for path, text in built.files.items() if path not in (MANIFEST, BASE)}
        assert renamed(texts, "net", "other") == {p: t for p, t in other.files.items() if p not in (MANIFEST, BASE)}

    def test_only_what_people_type_is_renamed(self):
        text = b"python -m net.train, pytest net\n(net.py:3) net.layer(net) my.net.train planet.train"
        assert renamed({"a.py": text}, "net", "app.vae") == {
            "a.py": b"python -m app.vae.train, pytest vae\n(net.py:3) net.layer(net) my.net.train planet.train"
        }
        assert renamed({"test_net.py": b"", "test_a.py": b"", "t.pt": text}, "net", "app.vae") == {
            "test_vae.py": b"", "test_a.py": b"", "t.pt": text,
        }  # fmt: skip

    def test_the_packages_around_make_the_import_path(self, models):
        assert import_path(models / "vae") == "app.models.vae"
        assert import_path(models.parents[1] / "vae") == "vae"


class TestTheCopy:
    def test_again_under_another_path_is_as_if_it_were_copied_there_at_once(self, built):
        def copied(files, path):
            return vendored_copy(read_record(json.loads(files[MANIFEST]), files), files, path)

        assert copied(copied(built.files, "app.one"), "lib.two") == copied(built.files, "lib.two")

    def test_its_manifest_and_licence(self, built):
        files = vendored_copy(read_record(built.manifest, built.files), built.files, "app.vae")
        manifest = json.loads(files[MANIFEST])
        assert manifest["name"] == "vae" and manifest["vendored"] == {"name": "net", "path": "app.vae"}
        assert manifest["files"] == {p: digest(text) for p, text in files.items() if p not in (MANIFEST, BASE)}
        assert manifest_text(manifest) == files[MANIFEST]
        licence = files[LICENCE].decode()
        assert "from nets.Net(" in licence and (ROOT / "LICENSE").read_text() in licence


class TestTheCommand:
    def test_a_scratch_project_from_copy_to_update(self, package, models, run, newer, monkeypatch, tmp_path):
        (package / "model.py").write_text((package / "model.py").read_text() + "\n\nMINE = 1\n")
        (package / "notes.txt").write_text("mine\n")
        done = run("vendor", package, models / "vae")
        assert done.exit_code == 0, done.stderr
        assert "app.models.vae" in done.stdout and "passed" in done.stdout
        assert sorted(os.listdir(models)) == ["__init__.py", "vae"]
        assert "python -m app.models.vae.train" in (models / "vae" / "train.py").read_text()
        assert (models / "vae" / "notes.txt").read_text() == "mine\n"
        checked = run("check", models / "vae").stdout.splitlines()
        assert checked == [f"{models}/vae/model.py: edited", f"{models}/vae/notes.txt: added"]

        # Edits on both sides.
        monkeypatch.setattr(recompile, "build", lambda *given: newer)
        weights = models / "vae" / "weights.py"
        weights.write_text(weights.read_text().replace("from typing", "import this_is_not_run\nfrom typing"))
        export = models / "vae" / "export.py"
        export.write_text(export.read_text().replace('"""Writes plain', '"""Mine. Writes plain'))
        updated = run("update", models / "vae")
        assert updated.exit_code == 0, updated.stdout + updated.stderr
        assert export.read_text().startswith('"""Mine. Writes plain') and "NEW_IN_9" in export.read_text()
        assert "HyperGen 9.9.9" in weights.read_text() and "this_is_not_run" in weights.read_text()
        assert "MINE = 1" in (models / "vae" / "model.py").read_text() and (models / "vae" / "notes.txt").exists()
        again = run("update", models / "vae")
        assert again.exit_code == 0 and again.stdout == "up to date\n"

        weights.write_text(weights.read_text().replace("import this_is_not_run\n", ""))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
            str(models / "vae"),
        ]
        (models.parent / "__init__.py").write_text("")
        tested = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True
        )
        assert tested.returncode == 0, tested.stdout

    def test_what_torch_alone_cannot_run_is_not_copied(self, package, models, run):
        (package / "model.py").write_text("import rich\n" + (package / "model.py").read_text())
        done = run("vendor", package, models / "vae")
        assert done.exit_code == 1 and "error[HG605]" in done.stderr and "No module named 'rich'" in done.stderr
        assert os.listdir(models) == ["__init__.py"]

    def test_a_failing_test_is_named(self, package, models, run):
        model = package / "model.py"
        model.write_text(
            model.read_text().replace("return layers.linear(torch.randn(n", "return layers.linear(torch.randn(n + 1")
        )
        done = run("vendor", package, models / "vae")
        assert done.exit_code == 1 and "test_any_batch_size[sample-1]" in done.stderr
        assert os.listdir(models) == ["__init__.py"]

    @pytest.mark.parametrize(
        ("name", "code"), [("not-a-name", "HG106"), ("torch", "HG106"), ("taken", "HG502"), ("file", "HG501")]
    )
    def test_a_destination_that_must_not_be_written(self, package, models, run, name, code):
        (models / "taken").mkdir()
        (models / "taken" / "thesis.tex").touch()
        (models / "file").touch()
        before = sorted(models.rglob("*"))
        done = run("vendor", package, models / name)
        assert done.exit_code == 2 and f"error[{code}]" in done.stderr and sorted(models.rglob("*")) == before

    def test_not_into_itself(self, package, run):
        before = content(package)
        for destination in (package, package / "inner"):
            done = run("vendor", package, destination)
            assert done.exit_code == 2 and "error[HG501]" in done.stderr
        assert content(package) == before

    def test_without_the_record(self, package, models, run):
        (package / BASE).unlink()
        for arguments in (("vendor", package, models / "vae"), ("update", package)):
            done = run(*arguments)
            assert done.exit_code == 2 and "error[HG505]" in done.stderr

    def test_without_pytest(self, package, models, run, monkeypatch):
        monkeypatch.setattr(prove, "find_spec", lambda name: None)
        done = run("vendor", package, models / "vae")
        assert done.exit_code == 2 and "error[HG506]: pytest is not installed" in done.stderr
