from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ..programs import calls, captured

TABLE = torch.linspace(0, 1, 4)


class Module(nn.Module):
    """A module whose forward is the given function of (self, x)."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.rand(4))
        self.register_buffer("count", torch.zeros(4))

    def forward(self, x):
        return self.function(self, x)


def recorded(function) -> list[str]:
    """The short names of the calls in the graph of a forward."""
    program = captured(Module(function), torch.rand(3, 4))
    return [name.removeprefix("torch.nn.functional.").removeprefix("torch.") for name in calls(program)]


@pytest.mark.parametrize(
    "same",
    [lambda x: x.to(torch.float32), lambda x: x.float(), lambda x: x.contiguous(), lambda x: x.to("cpu")],
    ids=["to-its-type", "float", "contiguous", "to-its-device"],
)
def test_calls_that_give_back_their_input_vanish(same):
    assert recorded(lambda self, x: same(x * self.weight).exp()) == ["Tensor.mul", "Tensor.exp"]


def test_calls_that_change_the_type_or_the_order_stay():
    assert recorded(lambda self, x: (x * self.weight).double()) == ["Tensor.mul", "Tensor.double"]
    assert recorded(lambda self, x: (x * self.weight).T.contiguous()) == [
        "Tensor.mul",
        "Tensor.T.__get__",
        "Tensor.contiguous",
    ]


def in_place(write):
    def forward(self, x):
        h = x * self.weight
        write(h)
        return h

    return forward


def add_number(h):
    h += 1


@pytest.mark.parametrize(
    ("write", "functional"),
    [
        (lambda h: h.add_(1), "Tensor.add"),
        (lambda h: h.clamp_(min=0.1), "Tensor.clamp"),
        (lambda h: h.exp_(), "Tensor.exp"),
        (add_number, "Tensor.add"),
        (lambda h: F.relu(h, inplace=True), "relu"),
        (lambda h: F.elu(h, 1.0, True), "elu"),
    ],
    ids=["add_", "clamp_", "exp_", "augmented", "inplace=True", "inplace by position"],
)
def test_writes_into_fresh_tensors_become_new_values(write, functional):
    assert recorded(in_place(write)) == ["Tensor.mul", functional]


def test_no_flag_of_a_functional_write_is_left():
    program = captured(Module(in_place(lambda h: F.relu(h, inplace=True))), torch.rand(3, 4))
    assert [(node.args[1:], node.kwargs) for node in program.entries[0].graph.nodes if "relu" in node.name] == [
        ((), {})
    ]


@pytest.mark.parametrize(
    "write", [lambda h: h.normal_(), lambda h: h.fill_(2.0), lambda h: h.zero_(), lambda h: h.copy_(torch.ones(4))]
)
def test_writes_without_a_functional_form_stay(write):
    assert recorded(in_place(write))[-1].endswith("_")


def test_writes_that_others_see_stay():
    def through_a_view(self, x):
        h = x * self.weight
        h.view(-1).add_(1)
        return h

    assert recorded(through_a_view) == ["Tensor.mul", "Tensor.view", "Tensor.add_"]
    assert recorded(lambda self, x: x.add_(self.weight)) == ["Tensor.add_"]


def test_an_in_place_operation_that_keeps_its_type_stays():
    def forward(self, x):
        h = (x * self.weight).long()
        h.mul_(self.weight.detach().gt(0))
        return h

    assert recorded(forward)[-1] == "Tensor.mul_"


def test_a_part_that_is_written_stays_a_statement():
    def forward(self, x):
        h = x * self.weight
        h[:, 0] = 0.0
        return h

    assert recorded(forward) == ["Tensor.mul", "Tensor.__setitem__"]


def test_what_nothing_reads_is_left_out():
    def forward(self, x):
        _ = (x * 2).exp().sum()
        return x * self.weight

    assert recorded(forward) == ["Tensor.mul"]


def test_writes_into_what_nothing_reads_are_left_out():
    def forward(self, x):
        unused = torch.zeros(3)
        unused[0] = x.sum()
        return x * self.weight

    assert recorded(forward) == ["Tensor.mul"]


def test_unused_random_numbers_stay_since_they_move_the_generator():
    def forward(self, x):
        torch.rand(3).exp()
        return x * self.weight

    assert recorded(forward) == ["rand", "Tensor.mul"]


def test_writes_into_buffers_and_inputs_stay():
    def forward(self, x):
        self.count.add_(1)
        x.mul_(2)
        return self.weight.exp()

    assert recorded(forward) == ["Tensor.add_", "Tensor.mul_", "Tensor.exp"]


def test_a_rebound_buffer_is_copied_into_the_old_one_at_the_end():
    def forward(self, x):
        self.count = 0.9 * self.count.detach() + x.detach().mean(0)
        return x * self.weight

    names = recorded(forward)
    assert names[-1] == "Tensor.copy_"
    assert names.count("Tensor.copy_") == 1


def test_what_a_write_changes_is_computed_though_only_a_view_is_returned():
    def forward(self, x):
        h = x * self.weight
        row = h[0]
        h[0] = 5.0
        return row

    assert recorded(forward) == ["Tensor.mul", "Tensor.__getitem__", "Tensor.__setitem__"]


def test_a_tensor_that_lives_nowhere_is_a_constant_and_equal_ones_are_one():
    first, second, third = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, 3, 4]), torch.zeros(4)
    program = captured(Module(lambda self, x: x * first + second * third * self.weight), torch.rand(3, 4))
    assert sorted(program.constants) == ["constant_0", "constant_1"]
    assert sorted(value.tolist() for value in program.constants.values()) == [[0.0] * 4, [1.0, 2.0, 3.0, 4.0]]


def test_a_constant_that_a_module_holds_has_the_name_of_its_attribute():
    model = Module(lambda self, x: x * self.frequencies + self.shift * self.weight + TABLE)
    model.frequencies, model.shift = torch.arange(4.0), torch.arange(4.0) + 1
    assert sorted(captured(model, torch.rand(3, 4)).constants) == ["constant_0", "frequencies", "shift"]


def test_a_constant_is_not_called_like_a_parameter():
    model = Module(lambda self, x: x * self.inner.weight * self.weight)
    model.inner = nn.Identity()
    model.inner.weight = torch.arange(4.0)
    assert list(captured(model, torch.rand(3, 4)).constants) == ["constant_0"]


def test_every_tensor_knows_its_shape_type_and_kind():
    program = captured(Module(lambda self, x: x * self.weight), torch.rand(3, 4))
    nodes = [node for node in program.entries[0].graph.nodes if node.op != "output"]
    assert {node.meta["kind"] for node in nodes} == {"input", "parameter", "value"}
    assert all(node.meta["dtype"] == torch.float32 and len(node.meta["shape"]) in (1, 2) for node in nodes)


def test_calls_of_a_module_that_is_imported_on_the_way_are_none_of_the_models(tmp_path, monkeypatch):
    (tmp_path / "imported_late.py").write_text("import torch\n\nTABLE = torch.ones(4).exp().tolist()\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def function(self, x):
        import imported_late

        return x * self.weight + imported_late.TABLE[0]

    assert recorded(function) == ["Tensor.mul", "Tensor.add"]
