"""Names and texts that try to become code, or to be taken for the package's own."""

from __future__ import annotations

import ast
import keyword

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hypergen_compiler
from fuzzing.hostile import hostile_model, hostile_names
from fuzzing.running import hostile_outcome
from hypergen_compiler import HyperGenError
from hypergen_compiler.emit.literals import literal, string
from hypergen_compiler.emit.names import identifier
from hypergen_compiler.emit.text import prose

MODELS, PER_TEST = 200, 10


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("first", range(0, MODELS, PER_TEST))
def test_hostile_models_compile_to_what_they_compute(first):
    found = {seed: hostile_outcome(seed) for seed in range(first, first + PER_TEST)}
    assert not {seed: kind for seed, kind in found.items() if kind.kind != "accepted"}


def test_one_is_published_as_by_the_command_line():
    assert hostile_outcome(MODELS, whole=True).kind == "accepted"


def test_models_hold_hostile_names():
    texts = [text for seed in range(20) for text in hostile_model(seed, "/ran").texts]
    assert sum("mkdir" in text for text in texts) > 50 and any(keyword.iskeyword(text) for text in texts)


@pytest.mark.parametrize("name", hostile_names("/ran"))
def test_no_name_becomes_more_than_a_name_or_a_text(name):
    assert identifier(name).isidentifier() and not keyword.iskeyword(identifier(name))
    assert ast.literal_eval(string(name)) == name == ast.literal_eval(literal(name))
    (statement,) = ast.parse(f'"""{prose(name)}"""').body
    assert isinstance(statement.value, ast.Constant) and "\n" not in prose(name)


class Layers(nn.Module):
    """Is called as the module `layers` of a package."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.fc(x)) + self.fc(x * 2)


class Output(dict):
    """Is called as an argument of every function of a package."""


def model_of(classes):
    """A model of a module of each class, whose names become equal, and which returns a container."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([cls() for cls in classes])
            self.add_module("a-b", nn.BatchNorm1d(4))
            self.register_buffer("a_b", torch.ones(4))
            self.register_buffer("ä_b", torch.ones(3, 4) * 2)
            self.register_buffer("at + b", torch.rand(20, 4))
            self._ = nn.Module()
            self._.register_buffer("a-b", torch.zeros(4))

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            x = self._modules["a-b"](x) * self.a_b + self._buffers["ä_b"].sum(0) + self._._buffers["a-b"]
            self._._buffers["a-b"].add_(1)
            return type("training", (Output,), {})(
                {"a b": x, "a-b": x * 2, "class": x + self._buffers["at + b"].mean(0)}
            )

        def loss(self, x):
            return F.mse_loss(self(x)["a b"], x)

    return Model()


@pytest.mark.parametrize("name", ["layers", "at", "tensors", "cls", "self", "i", "Any", "unpack_together", "training"])
def test_classes_that_are_called_like_something_of_the_package(name, tmp_path):
    made = type(name, (Layers,), {})
    torch.manual_seed(0)
    package = hypergen_compiler.compile(
        model_of([made, made]), torch.randn(8, 4), out=tmp_path / "emitted", sample=None, entries=("forward",)
    )
    assert package.verify().ok


@pytest.mark.parametrize("name", ['x"; import os', "{{ x }}", "a\nb", "class", "", "1st", "../up", "torch", "os"])
def test_a_package_cannot_have_any_name(name, tmp_path):
    with pytest.raises(HyperGenError, match="HG106"):
        hypergen_compiler.compile(
            model_of([Layers]), torch.randn(8, 4), out=tmp_path / "emitted", sample=None, name=name
        )
    assert not (tmp_path / "emitted").exists()
