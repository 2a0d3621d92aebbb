from __future__ import annotations

import keyword
import sys
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from hypergen_compiler.capture.registered import describe_module
from hypergen_compiler.emit.record_builder import build_records
from hypergen_compiler.emit.records import one_of, reach
from hypergen_compiler.program import Module, Program

from ..programs import captured, emitted_weights


def described(model: nn.Module) -> Program:
    """A program of a model's modules alone."""
    modules = tuple(describe_module(path, module) for path, module in model.named_modules())
    return Program("package", type(model).__name__, "", (), (), (), modules)


def records_of(model: nn.Module):
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    return build_records(described(model), shapes, "Weights", "")


def places(model: nn.Module) -> dict[str, str]:
    """Each parameter's expression."""
    return {name: str(reach("w", steps)) for name, steps in records_of(model).steps.items()}


class Block(nn.Module):
    def __init__(self, width=2, bias=True):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=bias)

    def forward(self, x):
        return self.linear(x)


class Model(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def test_layers_of_torch_are_spread_into_their_owners_fields():
    found = places(Model(stem=nn.Linear(2, 3), scale=nn.Parameter(torch.ones(1))))
    assert found == {"scale": "w.scale", "stem.weight": "w.stem_weight", "stem.bias": "w.stem_bias"}


def test_a_users_module_is_a_record_and_equal_ones_share_a_class():
    model = Model(first=Block(), second=Block(3), third=Block(bias=False))
    records = records_of(model)
    assert places(model)["second.linear.bias"] == "w.second.linear_bias"
    assert [record.name for record in records.classes] == ["Block", "Block_2", "Weights"]
    assert records.classes[0].paths == ["first", "second"]
    assert records.classes[0].shapes["linear_bias"] == {(2,), (3,)}


def test_a_list_of_modules_is_a_tuple():
    assert places(Model(blocks=nn.ModuleList([Block(), Block()])))["blocks.1.linear.bias"] == "w.blocks[1].linear_bias"


def test_a_list_of_layers_is_a_tuple_too():
    found = places(Model(heads=nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 3)])))
    assert found["heads.1.weight"] == "w.heads[1].weight"


def test_a_list_with_elements_without_weights_is_no_tuple():
    found = places(Model(blocks=nn.ModuleList([Block(), nn.ReLU(), Block()])))
    assert found["blocks.2.linear.bias"].startswith("w.blocks_")


def test_layers_of_a_sequential_say_what_they_are():
    found = places(
        Model(net=nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU(), nn.Linear(2, 2, bias=False)))
    )
    assert found == {
        "net.0.weight": "w.net_conv0_weight",
        "net.0.bias": "w.net_conv0_bias",
        "net.1.weight": "w.net_norm1.weight",
        "net.1.bias": "w.net_norm1.bias",
        "net.3.weight": "w.net_linear3_weight",
    }


def test_a_sequential_of_blocks_is_a_tuple():
    assert places(nn.Sequential(Block(), Block()))["1.linear.bias"].endswith("linear_bias")
    assert places(Model(net=nn.Sequential(Block(), Block())))["net.1.linear.bias"] == "w.net[1].linear_bias"


def test_a_parameter_list_is_a_tuple_of_tensors():
    found = places(Model(scales=nn.ParameterList([torch.ones(1), torch.ones(2)])))
    assert found == {"scales.0": "w.scales[0]", "scales.1": "w.scales[1]"}


def test_a_module_dict_has_its_own_names():
    found = places(Model(heads=nn.ModuleDict({"left": Block(), "right": Block()})))
    assert found["heads.left.linear.bias"] == "w.heads_left.linear_bias"


def test_the_nearest_record_above_a_module():
    records = records_of(Model(block=Block(), stem=nn.Linear(2, 2)))
    assert records.base("block.linear") == "block"
    assert records.base("stem") == ""


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("blocks", "block"), ("entries", "entry"), ("class", "class"), ("as", "as"), ("net", "net")],
)
def test_one_of_many(plural, singular):
    assert one_of(plural) == singular


TAKEN = """count index read tensors training w state self Tensor print cls weight linear_weight _fields at T_destination
load_state_dict forward NamedTuple Weights State LAYOUT a-b a_b a+b 1 é " ' \\""".split()
NAMES = st.sampled_from([*keyword.kwlist[:12], *TAKEN, "a b", "x\ny", "{{ 7 }}"]) | st.text(min_size=1, max_size=6)
TREES = st.recursive(
    st.just(None), lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=4), max_leaves=10
).filter(lambda tree: tree is not None)


def build(tree: dict, root: bool = True) -> nn.Module:
    """A module with a parameter and a buffer for every leaf of a tree of names; deeper trees are modules."""
    module = Hostile()
    for name, inner in tree.items():
        if "." in name or hasattr(module, name):
            continue
        if inner is None:
            module.register_parameter(name, nn.Parameter(torch.rand(2)))
        elif len(inner) == 1 and None in inner.values():
            module.register_buffer(name, torch.rand(2))
        else:
            module.add_module(name, build(inner, False))
    if root and not any(True for _ in module.parameters()):
        module.register_parameter("anchor", nn.Parameter(torch.rand(2)))
    return module


class Hostile(nn.Module):
    def forward(self, x):
        return x + sum(p.sum() for p in self.parameters()) + sum(b.sum() for b in self.buffers())


def run(text: str, folder) -> ModuleType:
    module = ModuleType("hostile_weights")
    module.__file__ = str(folder / "weights.py")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, "weights.py", "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return module


@given(TREES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_names_lead_to_their_tensors_and_back(tmp_path, tree):
    model = build(tree)
    program = captured(model, torch.rand(2, 2))
    weights = run(emitted_weights(program), tmp_path)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    flat = weights.pack(model.state_dict())
    unpacked, state = weights.unpack(flat), weights.State()
    state.load_state_dict(model.state_dict())
    for found, tensors in ((weights.to_state_dict(flat), parameters), (state.to_state_dict(), buffers)):
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    records = records_of(model)
    for name, steps in records.steps.items():
        assert torch.equal(eval(reach("w", steps), {"w": unpacked}), parameters[name])


def test_two_modules_of_one_class_and_of_torch():
    program = Program("p", "M", "", (), (), (), (Module("", "M", False), Module("a", "Linear", True)))
    records = build_records(program, {"a.weight": (1,)}, "Weights", "")
    assert records.steps == {"a.weight": ("a_weight",)}
