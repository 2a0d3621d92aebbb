"""Data of every kind reaches the emitted package as tensors that fit, or it says what does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from .cases import CASES, importable, module, publish


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where a package of each case lies, importable under its name."""
    with importable(tmp_path_factory.mktemp("packages")) as path:
        for case in CASES:
            publish(case, path / case)
        yield path


def read(case: str, path) -> tuple[Tensor, ...]:
    return module(case, "data").read_data(path).inputs


def test_bytes_become_levels_and_axes_fit(tmp_path):
    labels = np.arange(3)
    for shape in ((3, 8, 8), (3, 1, 8, 8), (3, 8, 8, 1), (3, 64)):
        np.savez(tmp_path / "data.npz", labels=labels, pixels=np.full(shape, 255, np.uint8))
        x, y = read("labelled", tmp_path / "data.npz")
        assert x.shape == (3, 1, 8, 8) and x.eq(1).all()
        assert y.tolist() == [0, 1, 2] and y.dtype == torch.int64


def test_other_files(tmp_path):
    values = torch.randn(5, 4)
    np.save(tmp_path / "data.npy", values.numpy().astype(">f8"))
    assert torch.equal(read("vectors", tmp_path / "data.npy")[0], values)
    for content in (values, [values], {"values": values}):
        torch.save(content, tmp_path / "data.pt")
        assert torch.equal(read("vectors", tmp_path / "data.pt")[0], values)
    np.save(tmp_path / "data.npy", np.arange(20) % 5)
    assert read("tokens", tmp_path / "data.npy")[0].tolist()[2] == [2, 3, 4, 0, 1, 2]


@pytest.mark.parametrize(
    ("case", "arrays", "message"),
    [
        ("labelled", {"images": np.zeros((3, 9, 9), np.uint8), "labels": np.arange(3)}, "uint8 [3, 9, 9]; expected"),
        ("labelled", {"images": np.zeros((3, 8, 8), np.uint8)}, "no array for `labels`"),
        ("labelled", {"images": np.zeros((3, 8, 8)), "labels": np.arange(4)}, "[3, 4] items"),
        ("labelled", {"images": np.zeros((3, 8, 8)), "labels": np.arange(3) + 8}, "values from 8 to 10"),
        ("vectors", {"x": np.full((3, 4), np.nan)}, "not finite"),
        ("vectors", {"x": np.zeros((3, 4)), "labels": np.zeros((3, 2), int)}, "labels are int64 [3, 2]"),
        ("vectors", {"names": np.array(["a", "b"])}, "no array of numbers"),
        ("tokens", {"tokens": np.zeros((3, 6))}, "float64 [3, 6]; expected `tokens` int64 [n, 6]"),
    ],
)
def test_data_that_does_not_fit_ends_with_what_was_expected(tmp_path, case, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(SystemExit) as error:
        read(case, tmp_path / "data.npz")
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["missing.npz", "torn.npz", "torn.pt", "objects.npy"])
def test_what_cannot_be_read_is_said(tmp_path, name):
    if name == "objects.npy":
        np.save(tmp_path / name, np.array([print], dtype=object), allow_pickle=True)
    elif name != "missing.npz":
        (tmp_path / name).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(SystemExit, match="cannot be read"):
        read("vectors", tmp_path / name)


def test_episodes_mix_the_labels_and_keep_one_at_the_own_mixture():
    labels = torch.arange(1000) % 4
    data = module("vectors", "data").Data((labels.float().unsqueeze(1).expand(-1, 4),), labels)
    source = module("vectors", "episodes").Episodes(data, size=64, seed=0)
    shares = []
    for own, *mixed in (source.step(3) for _ in range(50)):
        assert len(mixed) == 2
        shares.append([(part[:, 0] == 0).float().mean() for part in (own, *mixed)])
    spread = torch.tensor(shares).std(0)
    assert spread[0] < 0.1 < 0.2 < spread[1:].min()
    state = source.generator.get_state()
    expected = source.step(2)
    source.generator.set_state(state)
    assert all(torch.equal(one, other) for one, other in zip(expected, source.step(2), strict=True))
