"""The checker finds what is wrong with what a stage made, and nothing where nothing is."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.capture import capture, entry_points
from hypergen_compiler.checker import (
    check_functions,
    check_graphs,
    check_layout,
    check_plan,
    check_runs,
    check_texts,
    require,
)
from hypergen_compiler.checker.repeats import check_loop
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.errors import InternalError
from hypergen_compiler.fold import Const, Loop, fold, plan_loops
from hypergen_compiler.layout import lay_out
from hypergen_compiler.plan import left_out, plan
from hypergen_compiler.program import Affine


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 4)

    def forward(self, x):
        h = self.norm(self.up(x))
        return x + self.down(F.dropout(F.relu(h), 0.1, self.training)) * 0.5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.head = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(()))

    def loss(self, x):
        self.count += 1
        y = x * 1
        for block in self.blocks:
            y = block(y)
        return (self.head(y) - x).square().sum(1).mean() + torch.randn(x.shape[0]).mean() * 0

    def sample(self, n):
        return self.head(torch.randn(n, 4))


class Compiled:
    """All stages of one model."""

    def __init__(self):
        self.model = Net()
        self.points = entry_points(self.model, lambda n: torch.randn(n, 4))
        self.program = capture(self.model, self.points, name="net", source="Net()", loss="loss", sample="sample")
        self.layout = lay_out(self.program)
        self.plan = plan(self.program, self.layout)
        self.records = all_records(self.program)
        self.folded = fold(self.program, self.records)

    def node(self, name, number=0):
        """A call of the loss's graph."""
        return [node for node in self.program.entry("loss").graph.nodes if node.meta.get("name") == name][number]

    def graph(self):
        return [found.what for found in check_graphs(self.program)]

    def run(self):
        return [found.what for found in check_runs(self.program, self.model, self.points)]

    def functions(self):
        return [found.what for found in check_functions(self.program, self.folded, self.records)]

    def function(self, name):
        return next(f for f in self.folded.functions if f.model.scope and f.model.scope.function == name)


@pytest.fixture
def net():
    return Compiled()


def one(found, *words):
    """That something was found, and that the first finding says this."""
    assert found and all(word in found[0] for word in words), found


def test_nothing_is_wrong_with_a_sound_model(net):
    assert net.graph() == net.run() == net.functions() == []
    assert check_layout(net.program, net.layout) == check_plan(net.program, net.layout, net.plan) == []


def test_a_value_read_before_it_is_made(net):
    relu = net.node("torch.nn.functional.relu")
    relu.append(relu.args[0]) if relu.args[0].op == "call_function" else None
    one(net.graph(), "before it is made")


def test_a_weight_that_the_program_does_not_know(net):
    next(n for n in net.program.entry("loss").graph.nodes if n.op == "get_attr").target = "blocks.7.weight"
    one(net.graph(), "blocks.7.weight")


def test_a_weight_recorded_with_another_shape(net):
    next(n for n in net.program.entry("loss").graph.nodes if n.target == "head.weight").meta["shape"] = (4, 5)
    one(net.graph(), "head.weight", "[4, 5]")


def test_a_parameter_that_is_said_to_be_unread(net):
    first, *others = net.program.parameters
    net.program = dataclasses.replace(net.program, parameters=(dataclasses.replace(first, read=False), *others))
    one(net.graph(), first.name, "read")


def test_a_write_into_what_a_call_is_not_given(net):
    net.node("torch.nn.functional.relu").meta["writes"] = frozenset({-1})
    one(net.graph(), "writes into what it is not given")


def test_an_entry_point_that_returns_something_else(net):
    entry = net.program.entry("loss")
    changed = dataclasses.replace(entry, output=net.node("torch.nn.functional.relu"))
    net.program = dataclasses.replace(net.program, entries=(changed, net.program.entry("sample")))
    assert any("does not return" in what for what in net.graph())
    assert any("is said to return" in what for what in net.graph())


def test_a_loss_that_is_no_entry_point(net):
    net.program = dataclasses.replace(net.program, loss="nothing")
    one(net.graph(), "the loss 'nothing'")


def test_a_value_of_another_shape_than_recorded(net):
    net.node("torch.nn.functional.relu").meta["shape"] = (Affine(1), 7)
    one(net.run(), "recorded as", "7]")


def test_a_value_of_another_type_than_recorded(net):
    net.node("torch.nn.functional.relu").meta["dtype"] = torch.float64
    one(net.run(), "recorded as torch.float64")


def test_a_size_that_follows_the_batch_otherwise(net):
    net.node("torch.randn").args = ((Affine(1, 1),),)
    one(net.run(), "recorded as")


def test_random_numbers_that_are_not_recorded(net):
    net.node("torch.randn").meta["random"] = False
    one(net.run(), "draws random numbers unrecorded")


@pytest.mark.parametrize("name", ["Tensor.add_", "torch.nn.functional.batch_norm"])
def test_state_that_changes_unrecorded(net, name):
    for node in net.program.entry("loss").graph.nodes:
        if node.meta.get("name") == name:
            node.meta["writes"] = frozenset()
    one(net.run(), "loss changes", "no call is recorded" if "batch" in name else "")


def test_a_call_that_fails(net):
    net.node("torch.nn.functional.linear").args = net.node("torch.nn.functional.linear").args[:1]
    one(net.run(), "cannot be run", "TypeError")


def test_a_call_that_gives_no_tensor(net):
    last = [node for node in net.program.entry("sample").graph.nodes if node.op == "call_function"][-1]
    last.target = lambda *given, **named: 3
    assert net.run() == [f"{last.name} of sample is no tensor"]


def test_a_violation_names_the_users_line(net):
    relu = net.node("torch.nn.functional.relu")
    wanted = relu.meta["where"]
    assert wanted.startswith("test_stages.py:")
    relu.meta["writes"] = frozenset({-1})
    assert [found.where for found in check_graphs(net.program)] == [wanted]
    relu.meta["writes"], relu.meta["dtype"] = frozenset(), torch.float64
    assert {found.where for found in check_runs(net.program, net.model, net.points)} == {wanted}
    member = net.function("forward").members[1]
    item = next(item for item in member.body if any(isinstance(leaf, Const) for leaf in item.leaves))
    item.leaves[:] = [Const(0.25) if isinstance(leaf, Const) else leaf for leaf in item.leaves]
    assert item.node.meta["where"] in {found.where for found in check_functions(net.program, net.folded, net.records)}


def test_a_call_that_was_folded_away(net):
    net.function("forward").model.body.pop()
    assert any("were recorded" in what or "another length" in what for what in net.functions())


def test_effects_in_another_order(net):
    region = next(f for f in net.folded.functions if f.entry is not None and f.entry.entry.name == "loss").model
    region.body.append(region.body.pop(0))
    assert any("in another order" in what for what in net.functions())


def test_another_number_in_one_member(net):
    member = net.function("forward").members[1]
    item = next(item for item in member.body if any(isinstance(leaf, Const) for leaf in item.leaves))
    place = next(k for k, leaf in enumerate(item.leaves) if isinstance(leaf, Const))
    item.leaves[place] = Const(0.25)
    assert any("for Const(value=" in what for what in net.functions())


def test_another_weight_in_one_member(net):
    members = net.function("forward").members
    item, other = members[1].body[0], members[0].body[0]
    item.leaves[:] = other.leaves
    assert any("forward gives" in what for what in net.functions())


def test_another_call_in_one_member(net):
    member = net.function("forward").members[2]
    member.body[0], member.body[1] = member.body[1], member.body[0]
    assert any("was recorded" in what for what in net.functions())


def test_results_in_another_order(net):
    function = net.function("forward")
    function.members[1].results = list(function.members[0].results)
    assert any("other values" in what for what in net.functions())


def test_a_loop_over_other_weights(net):
    region = next(f for f in net.folded.functions if f.entry is not None and f.entry.entry.name == "loss").model
    loop = next(part for part in plan_loops(region, net.records) if isinstance(part, Loop))
    assert not list(check_loop(region, loop, net.records))
    column = next(column for column in loop.columns if column.kind == "w")
    column.values.reverse()
    assert any("and would read" in found.what for found in check_loop(region, loop, net.records))


def test_a_loop_that_carries_something_else(net):
    region = next(f for f in net.folded.functions if f.entry is not None and f.entry.entry.name == "loss").model
    loop = next(part for part in plan_loops(region, net.records) if isinstance(part, Loop))
    loop.carried = dict.fromkeys(loop.carried, Const(0))
    assert any("and would read" in found.what for found in check_loop(region, loop, net.records))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"offset": 8}, ["no multiple"]),
        ({"offset": 0}, ["overlap"]),
        ({"offset": 10_000_000}, ["ends behind"]),
        ({"shape": (3, 3)}, ["has a place for"]),
        ({"name": "other"}, ["does not hold each parameter once"]),
        ({"trained": False}, ["wrong part"]),
        ({"conditioned": False}, ["wrong part"]),
        ({"gain": 7}, ["gains along dimension 7"]),
        ({"aliases": ("x",)}, ["tied"]),
    ],
)
def test_a_slot_that_is_wrong(net, change, words):
    slots = list(net.layout.slots)
    slots[3] = dataclasses.replace(slots[3], **change)
    found = [v.what for v in check_layout(net.program, dataclasses.replace(net.layout, slots=tuple(slots)))]
    assert any(all(word in what for word in words) for what in found), found


@pytest.mark.parametrize("change", [{"size": 0}, {"trained": 7}, {"conditioned": 10_000_000}, {"critic": 16}])
def test_parts_of_the_buffer_that_are_wrong(net, change):
    assert check_layout(net.program, dataclasses.replace(net.layout, **change))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"head": "huge"}, "the head is 'huge'"),
        ({"penalty": "huge"}, "the penalty is 'huge'"),
        ({"space": "huge"}, "the space is 'huge'"),
        ({"rank": 0}, "the embedding has 0"),
        ({"bytes": 5}, "are said to take 5 bytes"),
        ({"parameters": 16, "bytes": 256}, "the layout makes it"),
        ({"rank": 3}, "the layout makes it"),
        ({"encoder": ()}, "the encoder reads []"),
        ({"together": True}, "share a pass"),
        ({"head": "base"}, "conditioned elements"),
        ({"head": "biases"}, "cannot condition the matrix"),
    ],
)
def test_a_plan_that_is_wrong(net, change, word):
    found = [v.what for v in check_plan(net.program, net.layout, dataclasses.replace(net.plan, **change))]
    assert any(word in what for what in found), found


@pytest.mark.parametrize("head", ["dense", "low-rank", "factors", "biases", "chunked", "chunked-alone", "base"])
def test_every_head_has_a_sound_plan(net, head):
    chosen = plan(net.program, net.layout, head=head)
    layout = lay_out(net.program, left_out(net.program, head))
    assert check_layout(net.program, layout) == check_plan(net.program, layout, chosen) == []


@pytest.mark.parametrize(
    ("path", "text", "word"),
    [
        ("model.py", "def f(:", "is not Python"),
        ("model.py", "x = '\u00e9'", "is not Python"),
        ("model.py", "import os", "imports os"),
        ("train.py", "import subprocess", "imports subprocess"),
        ("train.py", "from somewhere import x", "imports somewhere"),
        ("train.py", "x = eval('1')", "reads eval"),
        ("train.py", "def f():\n    return missing", "reads missing"),
        ("model.py", "f = lambda: 1", "holds a Lambda"),
        ("weights.py", "try:\n    x = 1\nfinally:\n    pass", "holds a Try"),
        ("weights.py", "x = ().__class__", "reads __class__"),
        ("model.py", "def f(a, a):\n    pass", "is not Python"),
    ],
)
def test_a_text_that_is_wrong(path, text, word):
    assert any(word in found.what for found in check_texts({path: text.encode()}))


def test_a_sound_text():
    text = "import torch\n\nSIZE = 3\n\n\ndef f(x):\n    return torch.relu(x)[:SIZE] + len(x)\n"
    assert not check_texts({"model.py": text.encode(), "tensors.pt": b"\x00"})


def test_an_internal_error_names_the_stage_and_carries_a_report(net):
    net.node("torch.nn.functional.relu").meta["dtype"] = torch.float64
    with pytest.raises(InternalError, match="HG902: capture broke its own rules") as caught:
        require("capture", check_runs(net.program, net.model, net.points), net.program)
    report = caught.value.report
    assert "stage: capture" in report and f"torch: {torch.__version__}" in report
    assert "parameter head.weight [4, 4] torch.float32" in report and "torch.nn.functional.relu" in report
    assert all(f"{value:.4f}" not in report for value in net.model.head.weight.flatten().tolist())
