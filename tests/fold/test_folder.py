from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.fold import fold

from ..programs import captured, definition, emitted_model

EXAMPLE = torch.rand(3, 6)


def folded(program):
    return fold(program, all_records(program))


def function_names(program) -> list[str]:
    text = emitted_model(program)
    return [line.split("(")[0].removeprefix("def ") for line in text.splitlines() if line.startswith("def ")]


class Layer(nn.Module):
    def __init__(self, width=6, slope=0.1):
        super().__init__()
        self.linear, self.slope = nn.Linear(width, width), slope

    def forward(self, x):
        h = self.linear(x)
        h = F.leaky_relu(h, self.slope)
        return x + h


class Model(nn.Module):
    """A forward that is the given function of (self, x)."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)

    def encode(self, x):
        return self.function(self, x)

    def loss(self, x):
        return self.encode(x).square().mean()


def two_layers(self, x):
    return self.second(torch.tanh(self.first(x))).exp()


def test_equal_functions_are_one():
    program = captured(Model(two_layers, first=Layer(), second=Layer()), EXAMPLE)
    functions = folded(program).functions
    assert [len(function.members) for function in functions] == [2, 1]
    assert function_names(program) == ["layer", "forward"]


def test_numbers_that_differ_become_an_argument():
    program = captured(Model(two_layers, first=Layer(slope=0.1), second=Layer(slope=0.3)), EXAMPLE)
    text = emitted_model(program)
    assert (
        definition(text, "layer").splitlines()[0] == "def layer(w: Layer, x: Tensor, negative_slope: float) -> Tensor:"
    )
    assert "layer(w.first, x, 0.1)" in definition(text, "forward")
    assert "0.3)" in definition(text, "forward")


class Scaled(nn.Module):
    """Uses its number twice: one argument, not two."""

    def __init__(self, scale):
        super().__init__()
        self.linear, self.scale = nn.Linear(6, 6), scale

    def forward(self, x):
        h = self.linear(x) * self.scale
        return h.exp() / self.scale


def test_equal_numbers_are_one_argument():
    program = captured(Model(two_layers, first=Scaled(2.0), second=Scaled(3.0)), EXAMPLE)
    scaled = folded(program).functions[0]
    assert [len(places) for places in scaled.parameters] == [2]


class Many(nn.Module):
    def __init__(self, *numbers):
        super().__init__()
        self.linear, self.numbers = nn.Linear(6, 6), numbers

    def forward(self, x):
        h = self.linear(x)
        for number in self.numbers:
            h = (h + number).exp()
        return h


def test_functions_that_differ_in_many_numbers_are_apart():
    few = captured(Model(two_layers, first=Many(1, 2, 3, 4), second=Many(5, 6, 7, 8)), EXAMPLE)
    many = captured(Model(two_layers, first=Many(1, 2, 3, 4, 5), second=Many(5, 6, 7, 8, 9)), EXAMPLE)
    assert function_names(few) == ["many", "forward"]
    assert function_names(many) == ["many", "many_2", "forward"]


def test_integers_and_floats_of_float_arithmetic_are_equal_numbers():
    program = captured(Model(two_layers, first=Scaled(2), second=Scaled(2.0)), EXAMPLE)
    assert len(folded(program).functions[0].members) == 2
    assert folded(program).functions[0].parameters == []


class Pooled(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        h = torch.tanh(self.linear(x))
        return (x * h).view(-1, 1, x.shape[1]).softmax(2).sum(1)


def test_numbers_that_are_an_arguments_size_are_read_from_its_shape():
    def forward(self, x):
        return torch.cat([self.first(x), self.second(x[:, :4])], 1)

    program = captured(Model(forward, first=Pooled(6), second=Pooled(4)), EXAMPLE)
    assert "x.shape[1]" in definition(emitted_model(program), "pooled")
    assert folded(program).functions[0].parameters == []


class Other(Many):
    """Does what its parent does and one call more."""

    def forward(self, x):
        h = self.linear(x)
        for number in self.numbers:
            h = (h + number).exp()
        return h.tanh()


def test_functions_that_differ_in_a_call_are_two():
    program = captured(Model(two_layers, first=Many(1, 2, 3), second=Other(1, 2, 3)), EXAMPLE)
    assert function_names(program) == ["many", "other", "forward"]


def test_entry_points_keep_their_names_though_they_are_equal():
    model = Model(lambda self, x: self.first(x).exp().tanh(), first=Layer())
    program = captured(model, EXAMPLE, ["forward", "encode"])
    assert function_names(program)[-2:] == ["forward", "encode"]


def test_an_entry_point_calls_another():
    model = Model(lambda self, x: self.first(x).exp().tanh(), first=Layer())
    program = captured(model, EXAMPLE, ["encode"], loss="loss")
    assert definition(emitted_model(program), "loss").endswith("    return encode(w, state, x).square().mean()")


def test_short_functions_called_once_are_written_where_they_are_called():
    program = captured(Model(lambda self, x: self.first(x).exp(), first=Layer()), EXAMPLE)
    assert function_names(program) == ["forward"]


def test_long_functions_called_once_stay_functions():
    program = captured(Model(lambda self, x: self.first(x).exp(), first=Many(1, 2, 3)), EXAMPLE)
    assert function_names(program) == ["many", "forward"]


def test_functions_of_fewer_than_three_calls_are_none():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            return self.linear(x).exp()

    program = captured(Model(two_layers, first=Small(), second=Small()), EXAMPLE)
    assert function_names(program) == ["forward"]


def test_arguments_and_results_follow_from_dataflow_alone():
    class Splits(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            mean, log_var = self.linear(x).chunk(2, 1)
            self.kept = log_var.exp().clamp(max=2.0)
            return mean.tanh()

    def forward(self, x):
        return self.first(x) * self.first.kept + self.second(x) * self.second.kept

    program = captured(Model(forward, first=Splits(), second=Splits()), EXAMPLE)
    splits = folded(program).functions[0]
    assert len(splits.model.arguments) == 1
    assert len(splits.model.results) == 2
    assert definition(emitted_model(program), "splits").splitlines()[0].endswith("-> tuple[Tensor, Tensor]:")


def test_callees_come_before_callers():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleList([Many(1, 2, 3), Many(1, 2, 3)])

        def forward(self, x):
            return self.inner[1](self.inner[0](x).tanh()).tanh() + x

    program = captured(Model(two_layers, first=Outer(), second=Outer()), EXAMPLE)
    assert function_names(program) == ["many", "outer", "forward"]
