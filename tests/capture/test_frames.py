from __future__ import annotations

import random
import sys

import pytest
import torch
from torch import nn

from hypergen_compiler.capture import frames
from hypergen_compiler.capture.frames import is_reflected, is_transparent, location, targets
from hypergen_compiler.capture.statements import RETURNED, statements
from hypergen_compiler.where import library

from ..programs import captured, definition, emitted_model, names

needs_positions = pytest.mark.skipif(sys.version_info < (3, 11), reason="code has no column positions before 3.11")


class Probe:
    """Stands for a tensor: asks about the frame that calls it."""

    def __init__(self, question):
        self.question, self.answers = question, []

    def __call__(self, *inputs):
        self.answers.append(self.question(sys._getframe(1)))
        return self

    def __add__(self, other):
        return self()

    def __radd__(self, other):
        self.answers.append(self.question(sys._getframe(1)))
        return self

    __iadd__ = __mul__ = __rmul__ = __radd__

    def __iter__(self):
        return iter((self, self))


def asked(question, function) -> list:
    probe = Probe(question)
    function(probe)
    return probe.answers


@needs_positions
def test_the_target_of_an_assignment():
    def function(x):
        mean = x()
        pair.variance = x()
        first, (second, third) = x(), x()
        _ = [annotated := x()]
        typed: object = x()
        return mean, first, second, third, annotated, typed

    pair = Probe(None)
    assert asked(targets, function) == ["mean", "variance", "first", ["second", "third"], "annotated", "typed"]


@needs_positions
def test_the_target_of_several_results_and_of_an_augmented_assignment():
    def function(x):
        mean, log_var = x()
        total = x
        total += 1
        return mean, log_var, total

    assert asked(targets, function) == [["mean", "log_var"], "total"]


@needs_positions
def test_both_branches_of_a_conditional_have_the_target():
    def function(x):
        y = x(1) if x.answers else x()
        y = x(2) if x.answers else x()
        return y

    assert asked(targets, function) == ["y", "y"]


@needs_positions
def test_a_returned_value_is_the_callers_and_a_nested_one_nobodys():
    def function(x):
        x(x())
        return x()

    assert asked(targets, function) == [None, None, RETURNED]
    assert asked(targets, lambda x: x()) == [RETURNED]


@needs_positions
def test_a_number_on_the_left_is_seen():
    def function(x):
        return 1 + x, x + 1, -2.5 * x, 2 * 3 * x, x + x

    assert asked(is_reflected, function) == [True, False, True, True, False]


def test_a_location_is_file_and_line():
    assert location(sys._getframe()) == f"test_frames.py:{sys._getframe().f_lineno}"
    assert location(None) is None


def test_libraries_lambdas_and_comprehensions_are_no_scopes():
    assert is_transparent(nn.Linear.forward.__code__)
    assert is_transparent(Probe.__iter__.__code__) is False
    assert is_transparent((lambda: 0).__code__)
    assert is_transparent(random.shuffle.__code__)
    assert is_transparent(captured.__code__) is False


@needs_positions
def test_a_file_that_changed_since_its_import_gives_other_names_or_none(tmp_path):
    source = 'def function(x):\n    """What it does."""\n    hidden = x()\n    return hidden\n'
    for changed in ("", 'x = """\n', "(\n", source.replace("hidden", "latent")):
        path = tmp_path / f"changed_{len(changed)}.py"
        path.write_text(changed)
        scope = {}
        exec(compile(source, str(path), "exec"), scope)
        assert asked(targets, scope["function"]) == (["latent"] if "latent" in changed else [None])


@needs_positions
def test_only_the_function_itself_is_read():
    code = Probe.__call__.__code__
    spans = statements(code).targets
    assert spans and all(code.co_firstlineno < span[0] < code.co_firstlineno + 4 for span in spans)


@needs_positions
def test_functions_that_are_indented_decorated_or_nested():
    def same(function):
        return function

    class Owner:
        @same
        @staticmethod
        def method(x):
            text = "é", x()
            é, plain = x(), [element := x() for _ in range(1)]

            def nested(x):
                inner = 2 * x
                return (
                    inner
                    + x
                )  # fmt: skip

            return nested(x), (lambda one: one())(x), text, plain, é, element

    assert asked(targets, Owner.method)[1:] == ["é", "element", "inner", RETURNED, RETURNED]
    assert asked(is_reflected, Owner.method)[3:] == [True, False, False]


class Names(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.stack = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def halves(self, x):
        left = x * 2
        return left.chunk(2, 1)

    def forward(self, x):
        hidden = self.linear(x)
        hidden = self.stack(hidden)
        mean, log_var = self.halves(hidden)
        return 1 + mean - log_var.exp()


@needs_positions
def test_results_are_called_what_the_user_calls_them():
    assert names(captured(Names(), torch.rand(3, 4))) == [
        "hidden",
        None,
        "hidden",
        "left",
        ["mean", "log_var"],
        None,
        None,
        None,
    ]


@needs_positions
def test_the_printed_function_keeps_names_and_the_order_of_numbers():
    printed = definition(emitted_model(captured(Names(), torch.rand(3, 4))), "forward").splitlines()
    assert printed[-1] == "    return 1 + mean - log_var.exp()"
    assert printed[-2].startswith("    mean, log_var = ")
    assert printed[1] == "    hidden = F.linear(x, w.linear_weight, w.linear_bias)"


def test_without_positions_values_have_names_of_their_own(monkeypatch):
    """As on Python 3.10: the program is the same, its names come from arguments and layers."""
    monkeypatch.setattr(frames, "instruction_positions", lambda code: ())
    text = emitted_model(captured(Positions(), torch.rand(3, 4)))
    assert "mean, log_variance" not in text and "chunk(2, dim=1)" in text
    monkeypatch.undo()
    assert "mean, log_variance" in emitted_model(captured(Positions(), torch.rand(3, 4)))


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 8)

    def forward(self, x):
        mean, log_variance = self.linear(x).chunk(2, dim=1)
        return 1 + mean * log_variance.exp() + mean


@pytest.mark.parametrize("folder", ["/venv/lib/python3.11/site-packages", "/usr/lib/python3/dist-packages"])
def test_libraries_are_known_by_their_folder_which_debian_calls_otherwise(folder):
    assert library(f"{folder}/torch/nn/functional.py") == "torch"
    assert library("/home/site-packages.py") is None
