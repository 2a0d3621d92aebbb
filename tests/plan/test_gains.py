"""Which matrices have gains and which calls take small tensors of several datasets, and why the others do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.plan.gains import matrices
from hypergen_compiler.plan.together import run_together

from ..programs import captured


class Net(nn.Module):
    def __init__(self, use):
        super().__init__()
        self.fc, self.conv = nn.Linear(4, 6), nn.Conv1d(1, 3, 3, padding=1)
        self.up, self.norm = nn.ConvTranspose1d(1, 5, 3), nn.BatchNorm1d(6)
        self.small, self.square, self.use = nn.Parameter(torch.ones(6)), nn.Parameter(torch.rand(6, 6)), use

    def loss(self, x):
        return self.use(self, x).square().mean()


USES = {
    "a layer": lambda m, x: m.fc(x) * m.small,
    "a convolution": lambda m, x: m.conv(x[:, None]) + m.up(x[:, None]).mean(),
    "a product": lambda m, x: m.fc(x) @ m.square,
    "a product with what is turned": lambda m, x: F.linear(m.fc(x), m.square.T),
    "both ways": lambda m, x: F.conv1d(m.up(x[:, None]), m.up.weight),
    "a sum": lambda m, x: m.fc(x) + m.square.sum(0),
    "arithmetic": lambda m, x: (1 + m.small) * m.fc(x) - m.small.exp(),
    "subtracted from": lambda m, x: m.small - m.fc(x),
    "over all items": lambda m, x: m.fc(x) * m.small.mean(),
    "joined": lambda m, x: torch.cat([m.fc(x), m.small.expand(len(x), 6)], 1),
    "normalised": lambda m, x: m.norm(m.fc(x)),
    "normalised without": lambda m, x: F.batch_norm(m.fc(x), None, None, training=True) + m.small,
    "a layer norm": lambda m, x: F.layer_norm(m.fc(x), (6,), m.small, m.small),
    "powers": lambda m, x: m.fc(x) ** m.small,
    "a value for nobody": lambda m, x: m.fc(x),
}
GAINED = {
    "a layer": {"fc.weight": 0},
    "a convolution": {"conv.weight": 0, "up.weight": 1},
    "a product": {"fc.weight": 0},
    "a product with what is turned": {"fc.weight": 0},
    "both ways": {},
    "a sum": {"fc.weight": 0},
}
FC = {"fc.bias"}
SMALL = {
    "a layer": FC | {"small"},
    "a convolution": {"conv.bias", "up.bias"},
    "arithmetic": FC | {"small"},
    "subtracted from": FC,
    "over all items": FC,
    "joined": FC,
    "normalised": FC | {"norm.weight", "norm.bias"},
    "normalised without": FC | {"small"},
    "a layer norm": FC | {"small"},
    "powers": FC,
}


def found(use):
    program = captured(Net(USES[use]), lambda n: (torch.randn(n, 4),), (), loss="loss")
    return program, run_together(program, matrices(program, frozenset()))


@pytest.mark.parametrize("use", GAINED)
def test_matrices_with_gains(use):
    program, together = found(use)
    assert together.gains == GAINED[use]
    read = {p.name for p in program.parameters if p.read and p.value.dim() > 1}
    assert read - together.gains.keys() <= together.reasons.keys()


@pytest.mark.parametrize("use", SMALL)
def test_small_tensors_of_several_datasets(use):
    program, together = found(use)
    read = {p.name for p in program.parameters if p.read and p.value.dim() < 2}
    assert together.tensors & read == SMALL[use]
    assert read - SMALL[use] <= together.reasons.keys()


def test_reasons_name_the_call_and_the_line():
    _, together = found("both ways")
    assert together.reasons["up.weight"] == "what takes it disagrees on its output channels"
    assert found("a sum")[1].reasons["square"].startswith("sum takes it at test_gains.py:")
    assert found("a product")[1].reasons["square"].startswith("matmul takes it at test_gains.py:")
    assert found("powers")[1].reasons["small"].startswith("__pow__ takes it at test_gains.py:")


def test_only_a_batch_norm_that_knows_no_datasets_is_an_obstacle():
    assert found("normalised")[1].obstacle is None
    assert found("normalised without")[1].obstacle.endswith("keeps no running statistics")
