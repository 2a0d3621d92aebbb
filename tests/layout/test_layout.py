from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from hypergen_compiler.errors import HyperGenError
from hypergen_compiler.layout import ALIGNMENT, lay_out, matching
from hypergen_compiler.program import Parameter, Program

SHAPES = st.lists(st.integers(0, 9), max_size=3).map(tuple)
PARAMETERS = st.lists(st.tuples(SHAPES, st.booleans()), min_size=1, max_size=12)


def program(*parameters: Parameter) -> Program:
    return Program("package", "Model", "Model()", (), parameters, ())


def parameter(name: str, *shape: int, trained: bool = True, dtype=torch.float32, aliases=()) -> Parameter:
    return Parameter(name, torch.zeros(shape, dtype=dtype), aliases, trained)


def test_offsets_lie_on_64_byte_boundaries_in_the_models_order():
    layout = lay_out(program(parameter("a", 3), parameter("b", 17), parameter("c"), parameter("d", 4, 4)))
    assert [(slot.name, slot.offset, slot.size) for slot in layout.slots] == [
        ("a", 0, 3),
        ("b", 16, 17),
        ("c", 48, 1),
        ("d", 64, 16),
    ]
    assert (layout.trained, layout.size, layout.weights) == (80, 80, 37)


@pytest.mark.parametrize(("dtype", "step"), [(torch.float64, 8), (torch.float32, 16), (torch.bfloat16, 32)])
def test_the_step_in_elements_follows_the_type(dtype, step):
    layout = lay_out(program(parameter("a", 1, dtype=dtype), parameter("b", 1, dtype=dtype)))
    assert [slot.offset for slot in layout.slots] == [0, step]
    assert layout.dtype == dtype


def test_frozen_parameters_lie_behind_what_is_emitted():
    layout = lay_out(program(parameter("a", 5, trained=False), parameter("b", 20), parameter("c", 2, trained=False)))
    assert [(slot.name, slot.offset) for slot in layout.slots] == [("b", 0), ("a", 32), ("c", 48)]
    assert (layout.trained, layout.size) == (32, 64)


def test_kept_parameters_lie_between_the_conditioned_and_the_frozen():
    rows = [parameter("a", 5, trained=False), parameter("b", 20), parameter("c", 2), parameter("d", 17)]
    layout = lay_out(program(*rows), {"b", "a"})
    assert [(slot.name, slot.offset) for slot in layout.slots] == [("c", 0), ("d", 16), ("b", 48), ("a", 80)]
    assert [slot.conditioned for slot in layout.slots] == [True, True, False, False]
    assert (layout.conditioned, layout.trained, layout.size) == (48, 80, 96)


def test_patterns_match_any_name_of_a_parameter():
    rows = program(parameter("in.weight", 4, aliases=("out.weight",)), parameter("in.bias", 1), parameter("t", 2))
    assert matching(rows, ["out.*"]) == {"in.weight"}
    assert matching(rows, ["*.bias", "t"]) == {"in.bias", "t"}
    with pytest.raises(HyperGenError) as caught:
        matching(rows, ["in.*", "IN.*"])
    assert caught.value.code == "HG305" and "'IN.*'" in caught.value.what and "in.weight" in caught.value.remedy


def test_a_tied_parameter_has_one_slot_and_is_found_by_each_name():
    layout = lay_out(
        program(parameter("embedding.weight", 4, aliases=("head.weight", "tail.weight")), parameter("b", 1))
    )
    assert len(layout.slots) == 2
    names = ("embedding.weight", "head.weight", "tail.weight")
    assert {layout.by_name[name].offset for name in names} == {0}
    assert layout.weights == 5


def test_a_parameter_of_another_type_is_refused():
    with pytest.raises(HyperGenError) as caught:
        lay_out(program(parameter("a", 2), parameter("half", 2, dtype=torch.float16)))
    assert caught.value.code == "HG301"
    assert "'half'" in caught.value.what


@pytest.mark.parametrize("parameters", [(), (parameter("a", 3, trained=False),), (parameter("a", 0, 3),)])
def test_a_model_with_nothing_to_train_is_refused(parameters):
    with pytest.raises(HyperGenError) as caught:
        lay_out(program(*parameters))
    assert caught.value.code == "HG302"


@given(PARAMETERS, st.sets(st.integers(0, 11)))
def test_slots_never_overlap_and_values_survive_the_way_there_and_back(rows, kept):
    parameters = [
        Parameter(f"p{k}", k + torch.rand(shape), trained=trained or k == 0) for k, (shape, trained) in enumerate(rows)
    ]
    assume(any(parameter.trained and parameter.value.numel() for parameter in parameters))
    layout = lay_out(program(*parameters), {f"p{k}" for k in kept})
    values = {item.name: item.value for item in parameters}
    taken = torch.zeros(layout.size, dtype=torch.int64)
    flat = torch.full((layout.size,), math.nan)
    for slot in layout.slots:
        assert slot.offset * 4 % ALIGNMENT == 0
        assert slot.offset + slot.size <= (layout.trained if slot.trained else layout.size)
        assert slot.trained or slot.offset >= layout.trained
        assert slot.conditioned == (slot.trained and int(slot.name[1:]) not in kept)
        assert slot.offset + slot.size <= layout.conditioned if slot.conditioned else slot.offset >= layout.conditioned
        taken[slot.offset : slot.offset + slot.size] += 1
        flat[slot.offset : slot.offset + slot.size] = values[slot.name].flatten()
    assert (taken <= 1).all()
    for slot in layout.slots:
        assert torch.equal(flat[slot.offset : slot.offset + slot.size].view(slot.shape), values[slot.name])
    assert layout.size * 4 % ALIGNMENT == layout.trained * 4 % ALIGNMENT == 0
