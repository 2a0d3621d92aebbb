"""Drift of every kind is found in every file, and none where there is none."""

from __future__ import annotations

import io
import json

import pytest
import torch

from hypergen_compiler.commands.show_drift import drift_lines
from hypergen_compiler.owning.drift import find_drift
from hypergen_compiler.owning.stamps import differs_in_stamps_only
from hypergen_compiler.publishing.manifest import BASE, MANIFEST
from hypergen_compiler.publishing.pristine import pack, read_record, unpacked

FILES = (
    "__init__.py calibration.py checkpoint.py curves.py data.py dependence.py episodes.py export.py faults.py "
    "groups.py hypernetwork.py items.py layers.py learner.py loader.py log.py mixtures.py model.py objective.py "
    "optimizer.py processes.py samples.py settings.py sources.py storage.py tensors.pt test_net.py train.py "
    "training.py validation.py weights.py "
    f"{MANIFEST} {BASE}"
).split()


def drift_between(files, disk, rebuilt):
    return find_drift(read_record(json.loads(files[MANIFEST]), disk), disk, rebuilt)


def kinds(changes):
    return {change.path: change.kind for change in changes}


def test_the_files_are_those_that_are_tried(built):
    assert sorted(built.files) == sorted(FILES)


def test_nothing_drifted(built, build_net):
    again = build_net()
    assert again.files == built.files
    found = drift_between(built.files, built.files, again.files)
    assert not found and drift_lines("net", found) == []


@pytest.mark.parametrize("path", FILES)
def test_an_edited_file(built, path):
    disk = {**built.files, path: built.files[path] + b"\n"}
    found = drift_between(built.files, disk, built.files)
    assert kinds(found.edits) == {path: "changed"} and not found.updates and not found.stamps


@pytest.mark.parametrize("path", [path for path in FILES if path != MANIFEST])
def test_a_deleted_file(built, path):
    disk = {name: content for name, content in built.files.items() if name != path}
    found = drift_between(built.files, disk, built.files)
    assert kinds(found.edits) == {path: "deleted"} and not found.updates and not found.stamps


def test_an_added_file(built):
    found = drift_between(built.files, {**built.files, "deep/mine.py": b"x = 1\n"}, built.files)
    assert kinds(found.edits) == {"deep/mine.py": "added"} and not found.updates and not found.stamps


def test_another_version_is_a_stamp_where_nothing_else_changed(built, newer):
    found = drift_between(built.files, built.files, newer.files)
    assert kinds(found.updates) == {"export.py": "changed"} and not found.edits
    assert {change.path for change in found.stamps} == {*FILES} - {"export.py", "tensors.pt", BASE}
    assert b"9.9.9" in found.updates[0].before and b"NEW_IN_9" not in found.updates[0].before


@pytest.mark.parametrize("path", [path for path in FILES if path not in (MANIFEST, BASE)])
def test_a_file_that_hypergen_would_write_differently(built, path):
    rebuilt = {**built.files, path: b"# more\n" + built.files[path]}
    found = drift_between(built.files, built.files, rebuilt)
    assert kinds(found.updates) == {path: "changed"} and not found.edits and not found.stamps


@pytest.mark.parametrize("path", [path for path in FILES if path not in (MANIFEST, BASE)])
def test_a_file_that_hypergen_writes_no_longer_or_newly(built, path):
    fewer = {name: content for name, content in built.files.items() if name != path}
    assert kinds(drift_between(built.files, built.files, fewer).updates) == {path: "deleted"}
    more = {**built.files, f"new_{path}": b""}
    assert kinds(drift_between(built.files, built.files, more).updates) == {f"new_{path}": "added"}


def test_edits_and_updates_of_one_file_are_apart(built, newer):
    disk = {**built.files, "export.py": b"# mine\n" + built.files["export.py"]}
    found = drift_between(built.files, disk, newer.files)
    assert kinds(found.edits) == kinds(found.updates) == {"export.py": "changed"}
    assert found.edits[0].after.startswith(b"# mine") and b"# mine" not in found.updates[0].after


def test_another_torch_or_formatter_is_a_stamp(built):
    manifest = json.loads(built.files[MANIFEST]) | {"torch": "9.0", "formatter": "ruff 9"}
    rebuilt = {**built.files, MANIFEST: json.dumps(manifest).encode()}
    found = drift_between(built.files, built.files, rebuilt)
    assert kinds(found.stamps) == {MANIFEST: "changed"} and not found.updates


def test_another_option_is_no_stamp(built, build_net):
    found = drift_between(built.files, built.files, build_net(budget="2x").files)
    assert {MANIFEST, "hypernetwork.py"} <= {change.path for change in found.updates}
    assert b"budget" in next(change.after for change in found.updates if change.path == MANIFEST)


def test_tensors_stored_otherwise_are_a_stamp_and_others_are_not():
    def saved(value, **options):
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    one = {"weights": torch.tensor([1.0, float("nan")]), "buffers": {}, "constants": {}}
    old_format = saved(one, _use_new_zipfile_serialization=False)
    assert differs_in_stamps_only("tensors.pt", saved(one), old_format)
    for other in (torch.tensor([1.0, 2.0]), torch.tensor([1.0]), torch.tensor([1, 2])):
        assert not differs_in_stamps_only("tensors.pt", saved(one), saved({**one, "weights": other}))
    assert not differs_in_stamps_only("tensors.pt", saved(one), b"nonsense")


class TestTheRecord:
    def test_it_is_the_texts_as_written(self, built):
        texts = unpacked(built.files[BASE])
        assert texts == {path: text for path, text in built.files.items() if path not in ("tensors.pt", BASE)}
        assert pack(texts) == built.files[BASE]

    @pytest.mark.parametrize("damage", [b"", b"nonsense", None, "truncated", "other texts"])
    def test_without_it_unedited_files_are_known_all_the_same(self, built, damage):
        if damage == "truncated":
            damage = built.files[BASE][:-40]
        if damage == "other texts":
            damage = pack({**unpacked(built.files[BASE]), "model.py": b""})
        disk = {**built.files, BASE: damage, "train.py": b"mine\n"}
        if damage is None:
            del disk[BASE]
        found = drift_between(built.files, disk, built.files)
        assert kinds(found.edits) == {BASE: "deleted" if damage is None else "changed", "train.py": "changed"}
        edit = next(change for change in found.edits if change.path == "train.py")
        assert edit.before is None and not found.updates

    def test_an_edited_manifest_does_not_hide_an_edit(self, built):
        manifest = json.loads(built.files[MANIFEST])
        manifest["files"]["model.py"] = manifest["files"]["data.py"]
        disk = {**built.files, MANIFEST: json.dumps(manifest).encode(), "model.py": built.files["data.py"]}
        assert kinds(drift_between(disk, disk, built.files).edits) == {MANIFEST: "changed", "model.py": "changed"}
