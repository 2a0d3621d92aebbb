from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hypergen_compiler.demo import data as demo_data
from hypergen_compiler.demo import demo
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.examples import ConvVAE


def refused(code: str):
    return pytest.raises(HyperGenError, match=code)


def test_leaves_a_package_weights_pictures_and_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "STEPS", 16)
    out = tmp_path / "demo"
    demo.run(out, None)
    assert capsys.readouterr().out == f"{out / 'report.md'}\n"
    for name in ("samples.png", "loss.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    model = ConvVAE()
    model.load_state_dict(torch.load(out / "weights.pt", weights_only=True))
    manifest = json.loads((out / "conv_vae" / "hypergen.json").read_text())
    report = (out / "report.md").read_text()
    assert f"{manifest['layout']['weights']:,} in {len(manifest['layout']['slots'])} tensors" in report
    assert "nan" not in report

    demo.run(out, None)  # over its own earlier output


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with refused("HG502"):
        demo.run(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"pictures": np.zeros((300, 8, 8), np.uint8)},
        {"images": np.zeros((300, 8, 8), np.float32)},
        {"images": np.zeros((300, 8, 10), np.uint8)},
        {"images": np.zeros((300, 9, 9), np.uint8)},
        {"images": np.zeros((300, 64), np.uint8)},
        {"images": np.zeros((30, 8, 8), np.uint8)},
        {"images": np.zeros((300, 8, 8), np.uint8), "labels": np.zeros(299, np.uint8)},
        {"images": np.array([{"pickled": 1}], dtype=object)},
    ],
)
def test_pictures_that_do_not_fit_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    with refused("HG604"):
        demo_data.read_pictures(tmp_path / "data.npz")


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04cut off"])
def test_files_that_are_no_archive_are_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    if content is not None:
        path.write_bytes(content)
    with refused("HG604"):
        demo_data.read_pictures(path)


def test_a_missing_library_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with refused(r"HG604(.|\n)*hypergen-compiler\[demo\]"):
        demo.run(tmp_path, None)


def test_held_out_pictures_are_not_trained_on():
    train, held_out = demo_data.split(demo_data.digits())
    assert len(train.images) + len(held_out.images) == 1797
    both = np.concatenate([train.images, held_out.images])
    original = demo_data.digits().images
    assert np.array_equal(np.sort(both.reshape(1797, -1), axis=0), np.sort(original.reshape(1797, -1), axis=0))
