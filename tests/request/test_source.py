"""Models named by text: what is found, how it is made, and every way to get it wrong."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.request.source import describe_model, parse_settings, resolve_model

MODELS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 4, kind: str = "plain"):
        super().__init__()
        if width < 0:
            raise ValueError("width must be positive")
        self.kind = kind
        self.layer = nn.Linear(width, 2)


class Needy(nn.Module):
    def __init__(self, width):
        super().__init__()


class Plain:
    pass


def factory(width=3):
    return Net(width)


def number():
    return 3


instance = Net()
constant = 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("nets", "outer", "broken")]:
        del sys.modules[name]


@pytest.mark.parametrize("place", ["nets.py", "./nets.py", "nets"])
def test_a_class_with_settings(folder, place):
    model, description = resolve_model(f"{place}:Net", {"width": 5, "kind": "fast"})
    assert model.layer.weight.shape == (2, 5) and model.kind == "fast"
    assert description == "nets.Net(width=5, kind='fast')"


def test_an_absolute_path_leaves_no_trace(folder):
    assert resolve_model(f"{folder / 'nets.py'}:factory", {}).description == "nets.factory()"


def test_an_instance_and_a_factory(folder):
    assert resolve_model("nets.py:instance").description == "nets.instance"
    assert resolve_model("nets.py:factory", {"width": 6}).model.layer.weight.shape == (2, 6)


@pytest.mark.parametrize("name", ["Net", "instance", "factory"])
def test_the_same_source_gives_the_same_weights(folder, name):
    one = resolve_model(f"nets.py:{name}").model.state_dict()
    torch.rand(3)
    two = resolve_model(f"nets.py:{name}").model.state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_file_inside_a_package_keeps_its_relative_imports(folder):
    (folder / "outer").mkdir()
    (folder / "outer" / "__init__.py").touch()
    (folder / "outer" / "base.py").write_text(MODELS)
    (folder / "outer" / "inner.py").write_text("from .base import Net\n")
    model, description = resolve_model("outer/inner.py:Net")
    assert isinstance(model, nn.Module) and description == "inner.Net()"


def test_a_file_that_changed_is_read_again(folder):
    assert resolve_model("nets.py:Net").model.layer.out_features == 2
    (folder / "nets.py").write_text(MODELS.replace("nn.Linear(width, 2)", "nn.Linear(width, 7)"))
    assert resolve_model("nets.py:Net").model.layer.out_features == 7


@pytest.mark.parametrize(
    ("source", "settings", "code", "said", "where"),
    [
        ("nets", {}, "HG101", "names no object", None),
        ("nets.py", {}, "HG101", "names no object", None),
        (":Net", {}, "HG101", "names no object", None),
        ("nets.py:2Net", {}, "HG101", "names no object", None),
        ("absent.py:Net", {}, "HG101", "absent.py cannot be imported: there is no such file", None),
        ("absent.module:Net", {}, "HG101", "No module named 'absent'", None),
        ("broken.py:Net", {}, "HG101", "SyntaxError", "broken.py:2"),
        ("raising.py:Net", {}, "HG101", "ZeroDivisionError", "raising.py:2"),
        ("leaving.py:Net", {}, "HG101", "SystemExit", "leaving.py:1"),
        ("needing.py:Net", {}, "HG101", "No module named 'absent'", "needing.py:1"),
        ("nets.py:Nat", {}, "HG102", "nets.py has no 'Nat'\n.*\n.*Net, Needy", "nets.py:1"),
        ("nets.py:Plain", {}, "HG102", "no nn.Module\n.*\n.*There are Net, Needy", "nets.py:20"),
        ("nets.py:constant", {}, "HG102", "of type int", None),
        ("nets.py:number", {}, "HG102", "returned a value of type int", "nets.py:28"),
        ("nets.py:Needy", {}, "HG103", "missing a required argument: 'width'", "nets.py:16"),
        ("nets.py:Net", {"depth": 3}, "HG103", "unexpected keyword argument 'depth'", "nets.py:7"),
        ("nets.py:Net", {"width": -1}, "HG103", "ValueError: width must be positive", "nets.py:10"),
        ("nets.py:instance", {"width": 1}, "HG105", "is an instance already", None),
    ],
)
def test_refusals(folder, source, settings, code, said, where):
    (folder / "broken.py").write_text("x = 1\nx = (\n")
    (folder / "raising.py").write_text("x = 1\nx / 0\n")
    (folder / "leaving.py").write_text("raise SystemExit(3)\n")
    (folder / "needing.py").write_text("import absent\n")
    with pytest.raises(HyperGenError, match=said) as caught:
        resolve_model(source, settings)
    assert (caught.value.code, caught.value.where) == (code, where)
    assert caught.value.remedy


def test_settings():
    given = ["width=5", "rate=1e-3", "sizes=(1, 2)", "kind=fast", "note='5'", "flag=True", "empty=", "text=a=b"]
    assert parse_settings(given) == {
        "width": 5,
        "rate": 1e-3,
        "sizes": (1, 2),
        "kind": "fast",
        "note": "5",
        "flag": True,
        "empty": "",
        "text": "a=b",
    }
    for wrong in ("width", "=5", "2x=5", "a b=1"):
        with pytest.raises(HyperGenError, match="HG105"):
            parse_settings([wrong])


def test_a_model_given_as_an_object_is_called_by_its_class():
    class Inner(nn.Module):
        pass

    assert describe_model(nn.Linear(2, 2)) == "torch.nn.modules.linear.Linear"
    assert describe_model(Inner()).endswith(".Inner") and "<" not in describe_model(Inner())
