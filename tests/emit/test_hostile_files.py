"""Files that try to run something, or to take all memory, when they are read: refused in words, and nothing runs."""

from __future__ import annotations

import ast
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import hypergen_compiler
from hypergen_compiler.emit.text import template_folder
from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.datafile import read_arrays

from .cases import importable, module, publish

SOURCES = Path(hypergen_compiler.__file__).parent


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with importable(tmp_path_factory.mktemp("packages")) as path:
        publish("vectors", path / "vectors")
        yield path


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


def huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def write_trap(path: Path, trap: Trap) -> None:
    """A file of the kind that its name says, with a pickle in it."""
    if path.suffix == ".pt":
        torch.save({"x": trap, "weights": trap}, path)
    elif path.suffix == ".npz":
        np.savez(path, x=np.array([trap], dtype=object))
    elif path.suffix == ".npy":
        np.save(path, np.array([trap], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(trap))


TRAPS = ["trap.pt", "trap.npz", "trap.npy", "trap.safetensors", "raw.pt", "raw.npz", "raw.npy"]


def trapped(path: Path) -> Path:
    """The file, and where its trap would leave a folder."""
    place = path.with_name("sprung")
    if path.stem == "raw":
        path.write_bytes(pickle.dumps(Trap(place)))
    else:
        write_trap(path, Trap(place))
    return place


@pytest.mark.parametrize("name", TRAPS)
def test_a_package_unpickles_no_data(tmp_path, name):
    place = trapped(tmp_path / name)
    with pytest.raises(SystemExit, match=name):
        module("vectors", "data").read_data(tmp_path / name)
    assert not place.exists()


@pytest.mark.parametrize("name", TRAPS)
def test_the_compiler_unpickles_no_example(tmp_path, name):
    place = trapped(tmp_path / name)
    with pytest.raises(HyperGenError, match="HG104"):
        read_arrays(tmp_path / name)
    assert not place.exists()


def as_checkpoint(path: Path, kind: str) -> None:
    if kind == "pickle":
        write_trap(path, Trap(path.with_name("sprung")))
    elif kind == "torch":
        torch.save({"x": Trap(path.with_name("sprung"))}, path)
    elif kind == "huge":
        huge_header(path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("data.pkl", pickle.dumps(Trap(path.with_name("sprung"))))
    else:
        header = json.dumps(json.loads(kind)).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)


HEADERS = [
    '{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}',
    '{"x": {"dtype": "F99", "shape": [0], "data_offsets": [0, 0]}}',
    '{"x": {"dtype": "F32", "shape": [7], "data_offsets": [0, 0]}}',
    '{"x": {"shape": [0]}}',
    '{"x": 1}',
    "[1]",
    "3",
]


@pytest.mark.parametrize("kind", ["pickle", "torch", "huge", "zip", *HEADERS])
def test_a_checkpoint_that_is_none_is_refused_in_words(tmp_path, kind):
    as_checkpoint(tmp_path / "checkpoint.safetensors", kind)
    with pytest.raises(SystemExit, match="is no checkpoint"):
        module("vectors", "checkpoint").read_checkpoint(tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kind", ["huge", *HEADERS])
def test_data_in_a_torn_file_are_refused_in_words(tmp_path, kind):
    as_checkpoint(tmp_path / "data.safetensors", kind)
    with pytest.raises(SystemExit, match=r"data\.safetensors"):
        module("vectors", "data").read_data(tmp_path / "data.safetensors")
    with pytest.raises(HyperGenError, match="HG104"):
        read_arrays(tmp_path / "data.safetensors")


def test_stored_tensors_are_not_unpickled(folder, tmp_path):
    tensors, own = folder / "vectors" / "tensors.pt", (folder / "vectors" / "tensors.pt").read_bytes()
    write_trap(tensors, Trap(tmp_path / "sprung"))
    try:
        with pytest.raises(pickle.UnpicklingError):
            module("vectors", "weights").initial_weights()
    finally:
        tensors.write_bytes(own)
    assert not (tmp_path / "sprung").exists()


def calls(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def loads(path: Path, text: str) -> list[str]:
    """The calls of a file that could unpickle and are not told not to."""
    found = []
    for call in calls(text):
        name, options = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name == "torch.load" and options.get("weights_only") != "True":
            found.append(f"{path.name}:{call.lineno}")
        if name == "np.load" and options.get("allow_pickle", "False") != "False":
            found.append(f"{path.name}:{call.lineno}")
        if name in ("pickle.load", "pickle.loads", "joblib.load", "torch.jit.load"):
            found.append(f"{path.name}:{call.lineno}")
    return found


def test_nothing_that_the_compiler_or_a_package_reads_is_unpickled(folder):
    files = [*SOURCES.rglob("*.py"), *(folder / "vectors").glob("*.py")]
    assert len(files) > 100
    assert [place for file in files for place in loads(file, file.read_text())] == []
    templates = "\n".join(file.read_text() for file in template_folder().rglob("*.j2"))
    assert templates.count("torch.load(") == templates.count("weights_only=True") > 0
    assert "allow_pickle=True" not in templates
