"""Data of every kind reaches the emitted package as tensors that fit, or it says what does not."""

from __future__ import annotations

import sys

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


@pytest.fixture
def all_are_large(monkeypatch):
    """Every file is read row by row, as large ones are."""
    for part in [module(case, name) for case in CASES for name in ("data", "sources")]:
        monkeypatch.setattr(part, "LARGE", 0)


@pytest.fixture(params=["in memory", "from disk"])
def size(request):
    if request.param == "from disk":
        request.getfixturevalue("all_are_large")
    return request.param


def check(case: str, path, expected: Tensor, labels: list[int] | None = None, size: str = "in memory") -> None:
    """All rows and some, in any order, are the expected ones; large ones are no tensors before they are read."""
    data = module(case, "data").read_data(path)
    rows = data.inputs[0]
    assert isinstance(rows, Tensor) == (size == "in memory")
    chosen = torch.tensor([len(rows) - 1, 0, 0])
    assert torch.equal(rows[:], expected) and torch.equal(rows[1:3], expected[1:3]) and len(rows) == len(expected)
    assert torch.equal(data.rows(chosen) if len(data.inputs) == 1 else data.rows(chosen)[0], expected[chosen])
    assert (None if data.labels is None else data.labels.tolist()) == labels


def test_files_of_arrays(tmp_path, size):
    values, labels = torch.randn(5, 4), [3, 1, 3, 0, 1]
    numbers = np.array(labels, "i2")
    np.save(tmp_path / "data.npy", values.numpy().astype(">f8"))
    check("vectors", tmp_path / "data.npy", values, size=size)
    np.savez(tmp_path / "data.npz", labels=numbers, x=values.numpy(), names=np.array(["a", "b"]))
    check("vectors", tmp_path / "data.npz", values, labels, size)
    np.savez_compressed(tmp_path / "data.npz", y=numbers, x=values.numpy())
    check("vectors", tmp_path / "data.npz", values, labels, size)
    for content in (values, [values], {"values": values}):
        torch.save(content, tmp_path / "data.pt")
        check("vectors", tmp_path / "data.pt", values, size=size)
    torch.save((values, torch.tensor(labels)), tmp_path / "data.pt")
    check("vectors", tmp_path / "data.pt", values, labels, size)


def test_arrays_by_column_are_read_all_the_same(tmp_path):
    values = torch.randn(5, 4)
    np.save(tmp_path / "data.npy", np.asfortranarray(values.numpy()))
    check("vectors", tmp_path / "data.npy", values)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_safetensors(tmp_path, size, dtype):
    safetensors = pytest.importorskip("safetensors.torch")
    values, labels = torch.randn(5, 4, dtype=dtype), torch.tensor([3, 1, 3, 0, 1], dtype=torch.int32)
    safetensors.save_file({"labels": labels, "x": values}, tmp_path / "data.safetensors", {"made": "by hand"})
    check("vectors", tmp_path / "data.safetensors", values.float(), labels.tolist(), size)


def test_what_export_writes_can_be_read(tmp_path):
    values = torch.randn(5, 4)
    module("vectors", "export").write_safetensors(tmp_path / "data.safetensors", {"x": values})
    check("vectors", tmp_path / "data.safetensors", values)


def test_texts_become_rows_of_tokens(tmp_path, size):
    text = np.arange(20) % 5
    expected = torch.arange(18).view(3, 6) % 5
    np.save(tmp_path / "data.npy", text)
    check("tokens", tmp_path / "data.npy", expected, size=size)
    for name, kind in (("one_byte.bin", "u1"), ("two_bytes.bin", "<u2")):
        (tmp_path / name).write_bytes(text.astype(kind).tobytes())
        check("tokens", tmp_path / name, expected, size=size)
    (tmp_path / "data.bin").write_bytes(b"\1\2\3")
    with pytest.raises(SystemExit, match=r"uint8 \[3\]; expected `tokens` int64 \[n, 6\]"):
        read("tokens", tmp_path / "data.bin")


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(
        SystemExit, match=r"cannot be read: expected \.npz, \.npy, .*\.safetensors, \.bin or module:function"
    ):
        read("tokens", tmp_path)


def write_pictures(folder, names: list[str], side: int = 8, mode: str = "L") -> None:
    images = pytest.importorskip("PIL.Image")
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.new(mode, (side, side), (i, i, i) if mode == "RGB" else i).save(path)


def test_a_folder_of_pictures(tmp_path, size):
    write_pictures(tmp_path, ["7/b.png", "7/a.jpg", "3/sub/c.png", "3/d.bmp"])
    (tmp_path / "3" / "notes.txt").write_text("no picture")
    expected = torch.tensor([3, 2, 1, 0]).view(4, 1, 1, 1).expand(4, 1, 8, 8) / 255  # by path: 3/d, 3/sub/c, 7/a, 7/b
    check("labelled", tmp_path, expected, [3, 3, 7, 7], size)
    assert module("labelled", "data").read_data(tmp_path).names == ()


def test_a_folder_of_colours_and_names(tmp_path):
    write_pictures(tmp_path, ["dogs/b.png", "cats/a.png"], mode="RGB")
    data = module("labelled", "data").read_data(tmp_path)
    assert data.names == ("cats", "dogs") and data.labels.tolist() == [0, 1] == data.inputs[1].tolist()


def test_pictures_that_do_not_fit(tmp_path):
    write_pictures(tmp_path / "first", ["1/a.png"])
    write_pictures(tmp_path / "first", ["1/b.png"], side=9)
    write_pictures(tmp_path / "second", ["1/a.png"], side=9)
    write_pictures(tmp_path / "third", ["1/a.png", "b.png"])
    (tmp_path / "fourth").mkdir()
    write_pictures(tmp_path / "fifth", ["1/a.png", "1/b.png"])
    (tmp_path / "fifth" / "1" / "b.png").write_bytes(b"torn")
    write_pictures(tmp_path / "sixth", ["1/a.png"], mode="I;16")
    for name, message in (
        ("first", r"b\.png: \(9, 9\) pixels, expected \(8, 8\)"),
        ("second", r"uint8 \[1, 1, 9, 9\]; expected `x` float32 \[n, 1, 8, 8\]"),
        ("third", "some pictures lie in it and some in folders"),
        ("fourth", "no picture in it"),
        ("fifth", r"b\.png: cannot be read"),
        ("sixth", r"a\.png: cannot be read: its levels have more than 8 bits"),
    ):
        with pytest.raises(SystemExit, match=message):
            read("labelled", tmp_path / name)


MAKERS = """
import numpy as np
import torch
from torch.utils.data import TensorDataset
from vectors.data import Data

values, labels = torch.arange(20.0).view(5, 4), torch.tensor([3, 1, 3, 0, 1])


class Dictionaries:
    def __len__(self):
        return 5

    def __getitem__(self, place):
        return {"name": "item", "x": values[place].numpy(), "label": int(labels[place])}


class WithTargets:
    targets = labels.tolist()
    read = 0

    def __len__(self):
        return 5

    def __getitem__(self, place):
        WithTargets.read += 1
        return values[place], self.targets[place]


def data(): return Data((values,), labels)
def tensor(): return values
def array(): return values.double().numpy()
def pair(): return values, labels
def dictionary(): return {"labels": labels.numpy(), "values": values}
def dataset(): return TensorDataset(values, labels)
def dictionaries(): return Dictionaries()
def with_targets(): return WithTargets()
def number(): return 3
def uneven(): return [torch.zeros(4), torch.zeros(3)].__getitem__
class Uneven(Dictionaries):
    def __getitem__(self, place): return torch.zeros(4 if place < 3 else 3)
def uneven(): return Uneven()
"""


@pytest.fixture
def makers(tmp_path, monkeypatch):
    (tmp_path / "makers.py").write_text(MAKERS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("makers", None)


@pytest.mark.parametrize(
    ("name", "labelled", "size"),
    [
        ("data", True, "in memory"),
        ("tensor", False, "in memory"),
        ("array", False, "in memory"),
        ("pair", True, "in memory"),
        ("dictionary", True, "in memory"),
        ("dataset", True, "from disk"),
        ("dictionaries", True, "from disk"),
        ("with_targets", True, "from disk"),
    ],
)
def test_what_a_function_returns(makers, name, labelled, size):
    labels = [3, 1, 3, 0, 1] if labelled else None
    check("vectors", f"makers:{name}", torch.arange(20.0).view(5, 4), labels, size)


def test_targets_save_reading_all_items_for_their_labels(makers):
    module("vectors", "data").read_data("makers:with_targets")
    assert sys.modules["makers"].WithTargets.read == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("makers:number", "of type int, expected arrays or a Dataset"),
        ("makers:missing", "neither a file nor a function"),
        ("no_such_module:data", "neither a file nor a function"),
        ("makers:uneven", "not all of one kind"),
    ],
)
def test_functions_that_do_not_fit(makers, name, message):
    with pytest.raises(SystemExit, match=message):
        read("vectors", name)[0][:]


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
        ("tokens", {"tokens": np.full((3, 6), 5)}, "holds values from 5 to 5, expected 0 to 4"),
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
    said = r"missing\.npz: there is no such file" if name == "missing.npz" else "cannot be read"
    with pytest.raises(SystemExit, match=said):
        read("vectors", tmp_path / name)


# --- drawing small datasets

LABELS = torch.arange(1000) % 4


def labelled():
    return module("vectors", "data").Data((LABELS.float().unsqueeze(1).expand(-1, 4),), LABELS)


def episodes(data, case: str = "vectors", **options):
    return module(case, "episodes").Episodes(data, size=64, seed=0, **options)


def spreads(source) -> list[float]:
    """How much the share of zeros varies, over datasets at the data's own mixture and over random ones."""
    steps = [[part if isinstance(part, Tensor) else part[0] for part in source.step(3)] for _ in range(50)]
    shares = torch.tensor([[(part.flatten(1)[:, 0] == 0).float().mean() for part in step] for step in steps])
    return shares.std(0).tolist()


def equal(one, other) -> bool:
    return len(one) == len(other) and all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_episodes_mix_the_labels_and_keep_one_at_the_own_mixture():
    own, *mixed = spreads(episodes(labelled()))
    assert len(mixed) == 2 and own < 0.1 < 0.15 < min(mixed)


def test_the_mixtures_of_a_step_hold_as_much_of_every_label():
    source = episodes(labelled())
    for _ in range(20):
        mixtures = source.draw_shares(7, source.generator)
        torch.testing.assert_close(mixtures.sum(1), torch.ones(7))
        torch.testing.assert_close(mixtures.mean(0), torch.full((4,), 0.25), atol=0.08, rtol=0)
    alone = torch.cat([source.draw_shares(1, source.generator) for _ in range(20)])
    assert alone.max(1).values.mean() > 0.5  # not an even one, as balancing would make it


@pytest.mark.parametrize("case", ["labelled", "tokens"])
def test_without_labels_groups_of_similar_items_are_mixed(case):
    images = (LABELS / 4).view(-1, 1, 1, 1) + 0.05 * torch.rand(1000, 1, 8, 8) * (LABELS > 0).view(-1, 1, 1, 1)
    inputs = {"labelled": (images, LABELS * 0), "tokens": (LABELS.unsqueeze(1).expand(-1, 6),)}[case]
    data = module(case, "data").Data(inputs)
    find_groups = module(case, "groups").find_groups
    found = find_groups(data, 4, seed=0)
    assert len({*zip(found.tolist(), LABELS.tolist(), strict=True)}) == 4
    assert torch.equal(found, find_groups(data, 4, seed=0))
    own, *mixed = spreads(episodes(data, case, groups=4))
    assert own < 0.1 < 0.15 < min(mixed)
    assert max(spreads(episodes(data, case, groups=0))) < 0.1
    few = module(case, "data").Data(tuple(values[:39] for values in inputs))
    assert find_groups(few, 4, seed=0) is None


def test_the_state_of_the_generator_decides_what_comes():
    source = episodes(labelled())
    source.step(2)
    state = source.generator.get_state()
    expected = source.step(2)
    source.generator.set_state(state)
    assert equal(source.step(2), expected)


def test_workers_read_what_would_be_read_without(tmp_path, all_are_large):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).normal(size=(200, 4)), labels=np.arange(200) % 4)
    data = module("vectors", "data").read_data(tmp_path / "data.npz")
    alone, helped = episodes(data), episodes(data, workers=2)
    torch.manual_seed(0)
    noise = torch.get_rng_state()
    takes = [lambda source: [source.plain(30)]] * 3 + [lambda source: [source.mixture()]] * 5
    for take in [*takes, *[lambda source: source.step(3)] * 4]:
        assert equal(take(helped), take(alone))
        assert torch.equal(helped.generator.get_state(), alone.generator.get_state())
    assert torch.equal(torch.get_rng_state(), noise)

    resumed = episodes(data, workers=1)
    resumed.generator.set_state(helped.generator.get_state())
    for source in (resumed, helped):
        source.step(2)
    assert equal(resumed.step(3), helped.step(3)) and not isinstance(data.inputs[0], Tensor)


def test_what_a_worker_cannot_read_ends_the_program(tmp_path, all_are_large):
    np.save(tmp_path / "data.npy", np.full((200, 4), np.nan))
    source = episodes(module("vectors", "data").read_data(tmp_path / "data.npy"), workers=1)
    with pytest.raises(SystemExit, match=r"data\.npy: array `x` holds values that are not finite"):
        source.plain(10)


def test_a_run_with_workers_is_the_run_without_also_when_it_is_resumed(tmp_path, all_are_large):
    values = np.random.default_rng(0).normal(size=(200, 4)) + np.arange(200)[:, None] % 4
    np.savez(tmp_path / "data.npz", x=values, labels=np.arange(200) % 4)
    data = module("vectors", "data").read_data(tmp_path / "data.npz")
    training = module("vectors", "training")
    settings = training.Settings(steps=16, batch=8, episodes=3)
    runs = [training.Trainer(data, settings, workers=workers) for workers in (0, 2, 1)]
    for run, steps in zip(runs, (8, 8, 5), strict=True):
        for _ in range(steps):
            run.advance()
    resumed = training.Trainer(data, settings, workers=2)
    resumed.restore(runs[2].content())
    for _ in range(3):
        resumed.advance()
    expected, *others = ([*run.hypernetwork.state_dict().values()] for run in (*runs[:2], resumed))
    assert all(equal(other, expected) for other in others)
