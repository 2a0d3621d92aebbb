"""Examples named by text: shapes, tokens, files and functions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.datafile import read_arrays
from hypergen_compiler.request.example import count_inputs, resolve_example


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 6, 5), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=generator.integers(0, 9, 20))
    return tmp_path


@pytest.mark.parametrize(("text", "shape"), [("16", (16,)), ("1x28x28", (1, 28, 28))])
def test_a_shape_gives_numbers_between_0_and_1(text, shape):
    (batch,) = resolve_example(text)(7)
    assert batch.shape == (7, *shape) and batch.dtype == torch.float32
    assert 0 <= batch.min() < 0.2 and 0.8 < batch.max() < 1


def test_tokens():
    (batch,) = resolve_example("tokens:12:5")(7)
    assert batch.shape == (7, 12) and batch.dtype == torch.int64
    assert batch.unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("text", ["1x4x4", "tokens:5:9", "data.npz", "made.py:batch"])
def test_the_same_size_gives_the_same_batch(folder, text):
    (folder / "made.py").write_text("import torch\ndef batch(n):\n    return torch.randn(n, 3)\n")
    example = resolve_example(text)
    one = example(5)
    torch.rand(1)
    assert all(torch.equal(a, b) for a, b in zip(one, example(5), strict=True))
    assert not torch.equal(example(6)[0][:5], one[0])


def test_rows_of_several_arrays_belong_together(folder):
    np.savez(folder / "pairs.npz", x=np.arange(10.0), y=np.arange(10))
    x, y = resolve_example("pairs.npz")(30)
    assert x.dtype == torch.float32 and y.dtype == torch.int64
    assert torch.equal(x, y.float()) and len(y.unique()) > 5
    assert len(resolve_example("pairs.npz", inputs=1)(4)) == 1


def test_bytes_are_images(folder):
    images, labels = read_arrays(folder / "data.npz")
    assert images.shape == (20, 1, 6, 5) and images.dtype == torch.float32 and 0.9 < images.max() <= 1
    assert labels.dtype == torch.int64
    np.savez(folder / "colour.npz", np.zeros((4, 8, 8, 3), np.uint8))
    assert read_arrays(folder / "colour.npz")[0].shape == (4, 3, 8, 8)


def test_every_format_gives_the_same(folder):
    x, y = torch.rand(6, 3), torch.arange(6)
    np.savez(folder / "a.npz", x=x.numpy(), y=y.numpy())
    torch.save({"x": x, "y": y}, folder / "a.pt")
    torch.save((x, y), folder / "b.pt")
    save_file({"x": x, "y": y}, folder / "a.safetensors", {"note": "kept out"})
    for name in ("a.npz", "a.pt", "b.pt", "a.safetensors"):
        found = sorted(read_arrays(folder / name), key=lambda array: -array.ndim)
        assert torch.equal(found[0], x) and torch.equal(found[1], y), name


def test_a_function(folder):
    (folder / "made.py").write_text("import torch\ndef batch(n):\n    return [torch.randn(n, 3), torch.zeros(n), n]\n")
    state = torch.get_rng_state()
    batch = resolve_example("made.py:batch")(4)
    assert isinstance(batch, tuple) and batch[0].shape == (4, 3) and batch[2] == 4
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_is_unpickled(folder):
    class Trap:
        def __reduce__(self):
            return (open, (str(folder / "sprung"), "w"))

    torch.save({"x": Trap()}, folder / "trap.pt")
    np.savez(folder / "trap.npz", np.array([Trap()], dtype=object))
    for name in ("trap.pt", "trap.npz"):
        with pytest.raises(HyperGenError, match="HG104"):
            resolve_example(name)
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "HG104", "is no example"),
        ("1x", "HG104", "is no example"),
        ("0x3", "HG104", "is no example"),
        ("images", "HG104", "is no example"),
        ("absent.npz", "HG104", "absent.npz cannot be read"),
        ("empty.npz", "HG104", "empty.npz holds no data"),
        ("text.npz", "HG104", "text.npz cannot be read"),
        ("text.pt", "HG104", "text.pt cannot be read"),
        ("text.safetensors", "HG104", "text.safetensors cannot be read"),
        ("uneven.npz", "HG104", "have 3, 4 rows"),
        ("made.py:number", "HG104", "is no function"),
        ("tokens:x:5", "HG104", "is no example"),
        ("tokens:batch", "HG101", "tokens cannot be imported"),
        ("made.py:absent", "HG102", "has no 'absent'"),
    ],
)
def test_refusals(folder, text, code, said):
    np.savez(folder / "empty.npz", np.zeros((0, 3)))
    np.savez(folder / "uneven.npz", np.zeros(3), np.zeros(4))
    for suffix in ("npz", "pt", "safetensors"):
        (folder / f"text.{suffix}").write_text("not what it says it is")
    (folder / "made.py").write_text("number = 3\n")
    with pytest.raises(HyperGenError, match=said) as caught:
        resolve_example(text)
    assert caught.value.code == code


def test_counting_inputs():
    assert count_inputs(lambda x: x) == 1
    assert count_inputs(lambda x, t, scale=2: x) == 2
    assert count_inputs(lambda *x: x) is None
    assert count_inputs(max) is None
