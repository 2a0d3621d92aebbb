"""What is folded, taken apart: each way in which a function could differ from what was recorded is found."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.checker import check_functions, check_graphs, check_layout
from hypergen_compiler.checker.repeats import check_later, check_loop, check_loops, is_same
from hypergen_compiler.emit.trees import all_records
from hypergen_compiler.fold import Call, Const, Loop, fold, plan_loops
from hypergen_compiler.layout import lay_out
from hypergen_compiler.program import Affine

from ..programs import captured


class Block(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.fc, self.scale = nn.Linear(4, 4), scale

    def forward(self, x):
        n, width = x.shape
        noise = torch.randn(n, width)
        return F.relu(self.fc(x)) * self.scale + noise / width + noise.view(n, 2, 2).flatten(1)


class Net(nn.Module):
    """A function of two members at two scales, a loop over blocks, and one over numbers whose results are gathered."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Block(2.0), Block(3.0)
        self.blocks = nn.ModuleList([Block(0.5) for _ in range(4)])

    def forward(self, x):
        x = self.second(self.first(x))
        for block in self.blocks:
            x = block(x)
        kept = []
        for i in range(5):
            x = self.blocks[0](x) + i
            kept.append(x)
        return torch.stack(kept).sum(0), x


class Folded:
    def __init__(self):
        self.program = captured(Net(), lambda n: (torch.randn(n, 4),))
        self.records = all_records(self.program)
        self.folded = fold(self.program, self.records)
        self.function = next(f for f in self.folded.functions if len(f.members) > 1)
        self.entry = self.folded.entries[0]
        self.region = self.entry.function.model

    def found(self):
        return [violation.what for violation in check_functions(self.program, self.folded, self.records)]

    def calls(self):
        return [item for item in self.region.body if isinstance(item, Call)]

    def loops(self):
        return [part for part in plan_loops(self.region, self.records) if isinstance(part, Loop)]

    def loop_violations(self, loop):
        return [violation.what for violation in check_loop(self.region, loop, self.records)]


@pytest.fixture
def net():
    made = Folded()
    assert made.found() == [] and len(made.loops()) == 2 and len(made.function.members) == 11
    return made


def test_a_member_of_another_length(net):
    member = net.function.members[2]
    member.body.append(member.body[-1])
    assert any("forward stands for a region of another length" in what for what in net.found())


def test_a_member_of_fewer_arguments(net):
    net.function.members[2].arguments.pop()
    assert any("forward stands for a region of another length" in what for what in net.found())


def test_a_call_with_another_number_of_results(net):
    member = net.function.members[1]
    member.body[1] = dataclasses.replace(member.body[1], outs=[])
    assert any("was recorded" in what for what in net.found())


@pytest.mark.parametrize("change", [{"mode": "training"}, {"random": True}])
def test_a_call_in_another_mode(net, change):
    item = next(item for item in net.function.members[1].body if not item.random)
    item.node.meta.update(change)
    assert any("was recorded" in what for what in net.found())


def test_another_argument_that_is_no_tensor(net):
    item = next(item for item in net.function.members[1].body if item.node.meta["name"] == "Tensor.flatten")
    item.node.kwargs = {"end_dim": -1}
    assert any("calls Tensor.flatten where Tensor.flatten was recorded" in what for what in net.found())


def test_a_number_where_a_tensor_was_recorded(net):
    member = net.function.members[1]
    item = next(item for item in member.body if any(isinstance(leaf, Const) for leaf in item.leaves))
    place = next(k for k, leaf in enumerate(item.leaves) if isinstance(leaf, Const))
    item.leaves[place] = member.arguments[0]
    assert any("forward gives" in what and "Const" in what for what in net.found())


def test_a_number_that_is_a_parameter_may_differ(net):
    (places,) = net.function.parameters
    net.function.parameters.clear()
    (i, j), *_ = places
    assert any("Const(value=2.0, real=True) for Const(value=3.0, real=True)" in what for what in net.found())
    net.function.parameters.append(places)
    assert net.found() == [] and net.function.model.body[i].leaves[j].value == 2.0


def test_a_parameter_is_one_number_in_every_region(net):
    (places,) = net.function.parameters
    body = net.function.model.body
    other = next((i, j) for i, item in enumerate(body) for j, leaf in enumerate(item.leaves)
                 if isinstance(leaf, Const) and (i, j) not in places)  # fmt: skip
    for added, wrong in ((places[0], 0), (other, len(net.calls()))):
        net.function.parameters[:] = [(*places, added)]
        assert len([what for what in net.found() if "takes one number where the region has several" in what]) == wrong


class Shortcut(nn.Module):
    """A block that may have a layer beside its own."""

    def __init__(self, has_other):
        super().__init__()
        self.fc, self.other = nn.Linear(4, 4), nn.Linear(4, 4) if has_other else None

    def forward(self, x):
        y = self.fc(x).relu()
        return y + (x if self.other is None else self.other(x))


class Shortcuts(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Shortcut(True), Shortcut(False)

    def forward(self, x):
        return self.second(self.first(x).tanh())


def test_a_function_tells_whether_what_is_optional_runs():
    program = captured(Shortcuts(), lambda n: (torch.randn(n, 4),))
    records = all_records(program)
    folded = fold(program, records)
    function = next(f for f in folded.functions if f.options)

    def found():
        return [violation.what for violation in check_functions(program, folded, records)]

    assert found() == []
    (option,) = function.options
    wrong = "forward does not tell whether torch.nn.functional.linear runs"
    for fields, times in (((), 2), ((("w", "fc"),), 1)):
        function.options[:] = [dataclasses.replace(option, fields=fields)]
        assert found().count(wrong) == times


def test_a_size_that_explains_a_number(net):
    place = next(i for i, item in enumerate(net.function.model.body) if item.node.meta["name"] == "Tensor.div"), 1
    for power, wrong in ((1, 0), (2, 11), (0.5, 11)):
        net.function.explained[place] = (0, 1, power)
        assert len([what for what in net.found() if "forward gives Tensor.div" in what]) == wrong


def test_the_batch_size_is_read_where_it_stands(net):
    assert net.function.batch_from == (0, 0)
    net.function.batch_from = (0, 1)
    found = net.found()
    assert found.count("forward reads the batch size where it does not stand") == 11


def test_a_call_hands_over_what_its_region_takes(net):
    one, other = net.calls()[:2]
    one.leaves[0] = other.leaves[0]
    assert "forward hands other values to forward than its region takes" in net.found()


def test_a_call_recorded_twice(net):
    net.region.body.insert(0, net.region.body[-1])
    made = len(net.program.entries[0].graph.nodes)
    found = net.found()
    assert any(what.startswith("forward folds") and "were recorded" in what for what in found), made


def test_an_entry_point_returns_its_results_in_order(net):
    net.region.results.reverse()
    assert "forward returns other values than was recorded" in net.found()


def test_a_loop_makes_the_same_calls(net):
    loop = net.loops()[1]
    net.region.body[loop.start + 2 * loop.period].node.meta["grad"] = False
    assert net.loop_violations(loop) == ["iteration 2 of a loop makes another call than its first"]


def test_a_loop_over_numbers_by_their_index(net):
    loop = net.loops()[1]
    where, (kind, column, (first, step)) = next((w, p) for w, p in loop.places.items() if p[0] == "column")
    assert (kind, column.kind, loop.count) == ("column", "index", 4)
    for wrong, turns in (((first + 1, step), [0, 1, 2, 3]), ((first, step + 1), [1, 2, 3])):
        loop.places[where] = (kind, column, wrong)
        assert [int(what.split()[1]) for what in net.loop_violations(loop)] == turns


@pytest.mark.parametrize(
    ("one", "other", "same"), [(1, 1, 1), (1.0, 1, 1), (0.3, 0.1 * 3, 1), (0.3, 0.31, 0), (1, 2, 0)]
)
def test_numbers_of_a_loop_agree_up_to_rounding(net, one, other, same):
    assert is_same(Const(one), Const(other), net.region, net.records) == bool(same)
    assert is_same(Const(1e6 * one), Const(1e6 * other), net.region, net.records) == bool(same)
    assert not is_same(Const(one), net.region.arguments[0], net.region, net.records)


def test_what_a_loop_carries_comes_from_the_turn_before(net):
    loop = net.loops()[1]
    where = next(w for w, place in loop.places.items() if place[0] == "carried")
    del loop.places[where]
    assert len(net.loop_violations(loop)) == 3 and "iteration 1" in net.loop_violations(loop)[0]


def test_what_is_gathered_may_be_read_later_and_nothing_else(net):
    loop = net.loops()[1]
    assert not list(check_later(net.region, loop))
    loop.gathered.clear()
    (found,) = check_later(net.region, loop)
    assert found.what == "something behind a loop reads what an earlier iteration made"
    assert found.what in net.loop_violations(loop)


@pytest.mark.parametrize("parts", [lambda plan: plan[1:], lambda plan: plan[:-1], lambda plan: [*plan, plan[-1]]])
def test_a_plan_covers_the_body_once(net, monkeypatch, parts):
    plan = plan_loops(net.region, net.records)
    monkeypatch.setattr("hypergen_compiler.checker.repeats.plan_loops", lambda *given: parts(plan))
    found = [violation.what for violation in check_loops(net.region, net.records)]
    assert found and all("of a body is not printed" in what for what in found)


class Modes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return torch.randn_like(self.fc(x)) + self.fc(x) if self.training else self.fc(x).split(2, 1)[0] * torch.ones(2)


@pytest.fixture
def modes():
    return captured(Modes(), lambda n: (torch.randn(n, 4),))


def graph_violations(program):
    return [violation.what for violation in check_graphs(program)]


def node_of(graph, name):
    return next(node for node in graph.nodes if node.meta.get("name") == name)


def test_evaluation_is_looked_at_as_well(modes):
    assert graph_violations(modes) == []
    split = node_of(modes.entries[0].evaluation.graph, "Tensor.split")
    del split.meta["scope"], split.meta["mode"]
    assert graph_violations(modes) == [f"{split.name} of forward lacks mode, scope"]


def test_parts_have_a_shape(modes):
    split = node_of(modes.entries[0].evaluation.graph, "Tensor.split")
    (part,) = split.users
    del part.meta["storage"]
    assert graph_violations(modes) == [f"{part.name} of forward lacks storage"]


def test_a_graph_has_one_output(modes):
    graph = modes.entries[0].graph
    graph.output(())
    assert graph_violations(modes) == ["the graph of forward has 2 outputs"]


def test_a_graph_takes_its_entry_points_inputs(modes):
    (entry,) = modes.entries
    renamed = dataclasses.replace(entry, inputs=(dataclasses.replace(entry.inputs[0], name="y"),))
    found = graph_violations(dataclasses.replace(modes, entries=(renamed,)))
    assert found == ["forward takes ['y'], its graph ['x']"]


def test_constants_are_those_of_the_program(modes):
    constant = dataclasses.replace(modes, constants={"constant_0": torch.ones(3)})
    (name,) = modes.constants or {"constant_0": None}
    reads = [node for node in modes.entries[0].evaluation.graph.nodes if node.meta.get("kind") == "constant"]
    assert bool(graph_violations(constant)) == bool(reads) and name == "constant_0"


def test_shapes_are_those_of_the_entry_point(modes):
    (entry,) = modes.entries
    changed = dataclasses.replace(entry, shapes=((Affine(1), 5),))
    (found,) = graph_violations(dataclasses.replace(modes, entries=(changed,)))
    assert found.startswith("forward is said to return [(Affine(slope=1, offset=0), 5)]")


def test_a_read_weight_has_a_place(modes):
    layout = lay_out(modes)
    slots = tuple(dataclasses.replace(slot, name=f"other.{slot.name}") for slot in layout.slots)
    renamed = dataclasses.replace(layout, slots=slots)
    parameters = tuple(dataclasses.replace(p, name=f"other.{p.name}") for p in modes.parameters)
    found = {v.what for v in check_layout(dataclasses.replace(modes, parameters=parameters), renamed)}
    assert "forward reads 'fc.weight', which has no place in the buffer" in found
