from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch

from hypergen_compiler.capture.outputs import describe
from hypergen_compiler.errors import HyperGenError, HyperGenWarning
from hypergen_compiler.program import Container

ONE, TWO = torch.tensor(1.0), torch.tensor(2.0)
Pair = namedtuple("Pair", "mean variance")


@dataclass
class Output:
    loss: torch.Tensor
    count: int = 3
    extra: object = None


def described(output):
    """The structure with a tensor's number in its place."""
    return describe(output, lambda tensor: f"tensor {tensor.item():.0f}", "encode", "model.py:4")


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (ONE, "tensor 1"),
        ((ONE, TWO), ("tensor 1", "tensor 2")),
        ([ONE, (TWO,)], ["tensor 1", ("tensor 2",)]),
        ({"a": ONE, 3: [TWO]}, {"a": "tensor 1", 3: ["tensor 2"]}),
        ((ONE, 2, 0.5, "mean", None, True), ("tensor 1", 2, 0.5, "mean", None, True)),
    ],
)
def test_plain_structures_stay(output, found):
    result = described(output)
    assert result == found
    assert type(result) is type(found)


@pytest.mark.parametrize(
    ("output", "name", "fields", "values"),
    [
        (Output(ONE), "Output", ("loss", "count", "extra"), ("tensor 1", 3, None)),
        (Pair(ONE, TWO), "Pair", ("mean", "variance"), ("tensor 1", "tensor 2")),
        (OrderedDict(x=ONE, y=TWO), "OrderedDict", ("x", "y"), ("tensor 1", "tensor 2")),
        (torch.max(torch.tensor([[1.0]]), 1), "Max", ("values", "indices"), ("tensor 1", "tensor 0")),
    ],
    ids=["dataclass", "named tuple", "mapping", "torch.return_types"],
)
def test_other_classes_become_containers(output, name, fields, values):
    result = described(output)
    assert isinstance(result, Container)
    assert (result.name, result.fields, result.values) == (name, fields, values)


def test_containers_are_found_inside_of_structures():
    result = described({"pair": [Pair(ONE, Output(TWO))]})
    assert result["pair"][0].values[1].values[0] == "tensor 2"


def test_an_object_is_refused_at_the_entry_point():
    with pytest.raises(HyperGenError) as caught:
        described((ONE, object()))
    assert (caught.value.code, caught.value.where) == ("HG206", "model.py:4")
    assert "encode returns a object" in caught.value.what


def test_a_field_that_holds_an_object_is_none_with_a_warning():
    with pytest.warns(HyperGenWarning, match="as extra"):
        result = described(Output(ONE, extra=torch.distributions.Normal(ONE, TWO)))
    assert result.values == ("tensor 1", 3, None)
