from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hypergen_compiler.ops.signatures import REQUIRED, positional, signature


def test_a_python_function_tells_its_parameters():
    found = dict(signature("torch.nn.functional.dropout", F.dropout))
    assert found == {"input": REQUIRED, "p": 0.5, "training": True, "inplace": False}


@pytest.mark.parametrize(
    ("name", "function", "known"),
    [
        ("torch.nn.functional.linear", F.linear, {"bias": None}),
        ("torch.nn.functional.conv2d", F.conv2d, {"stride": 1, "padding": 0, "groups": 1}),
        ("torch.softmax", torch.softmax, {"dtype": None}),
        ("torch.cat", torch.cat, {"dim": 0}),
        ("torch.cumsum", torch.cumsum, {"dim": REQUIRED}),
    ],
)
def test_a_builtin_function_is_known_by_its_documentation(name, function, known):
    found = dict(signature(name, function))
    assert {parameter: found[parameter] for parameter in known} == known


def test_what_has_no_documentation_is_unknown():
    assert signature("torch._C._nn.gelu", torch._C._VariableFunctions._standard_gamma) is None


def test_parameters_behind_a_star_are_not_given_by_position():
    assert positional("torch.cumsum", torch.cumsum) == 2
    assert positional("torch.nn.functional.dropout", F.dropout) == 4


def test_a_documented_default_that_is_no_literal_equals_nothing():
    defaults = dict(signature("torch.empty", torch.empty) or {})
    assert all(default is REQUIRED or default == default for default in defaults.values())
    assert defaults.get("layout") != torch.strided
