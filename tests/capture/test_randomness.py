"""Random numbers that no recorded call draws are refused, at the line that draws them."""

from __future__ import annotations

import inspect
import random
import statistics

import numpy as np
import pytest
import torch
from torch import nn

from ..programs import captured, refusal


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def hidden(self, x):
        return self.linear(x).relu()


class Numpy(Net):
    def forward(self, x):
        h = self.linear(x)
        return h * float(np.random.rand())  # here


class BehindAHelper(Net):
    def forward(self, x):
        return self.hidden(x) + (
            random.random()  # here
        )


class InAHelper(Net):
    def noise(self):
        scale = 2.0
        return scale * random.gauss(0.0, 1.0)  # here

    def forward(self, x):
        return self.hidden(x) * self.noise()


class InAModule(Net):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), Numpy())

    def forward(self, x):
        return self.body(x) + 1


class InALibrary(Net):
    def forward(self, x):
        return self.linear(x) * statistics.NormalDist().samples(1)[0]  # here


class OwnGenerator(Net):
    def __init__(self):
        super().__init__()
        self.chance = random.Random(0)

    def forward(self, x):
        return self.hidden(x) * self.chance.random()  # here


class OwnGeneratorOfNumpys(Net):
    def __init__(self):
        super().__init__()
        self.chance = np.random.default_rng(0)

    def forward(self, x):
        return self.hidden(x) * float(self.chance.normal())  # here


class Seeded(Net):
    def forward(self, x):
        torch.manual_seed(0)  # here
        h = self.hidden(x)
        return h + torch.randn_like(h)


class SeededInTheEnd(Net):
    def forward(self, x):
        h = self.linear(x)
        torch.manual_seed(0)  # here
        return h


class SeededBetween(Net):
    def forward(self, x):
        h = self.linear(x) + torch.randn(4)
        torch.manual_seed(0)  # here
        return self.hidden(h) + torch.randn(4)


class Forked(Net):
    def forward(self, x):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
        return self.hidden(x)


def marked(model: type[nn.Module]) -> str:
    lines, first = inspect.getsourcelines(model)
    return f"test_randomness.py:{first + next(k for k, line in enumerate(lines) if '# here' in line)}"


@pytest.mark.parametrize(
    "model",
    [
        Numpy,
        BehindAHelper,
        InAHelper,
        InALibrary,
        OwnGenerator,
        OwnGeneratorOfNumpys,
        Seeded,
        SeededInTheEnd,
        SeededBetween,
    ],
)
def test_the_line_that_draws(model):
    assert refusal("HG209", model(), lambda n: torch.rand(n, 4)).where == marked(model)


def test_the_line_of_a_submodule():
    assert refusal("HG209", InAModule(), lambda n: torch.rand(n, 4)).where == marked(Numpy)


def test_a_generator_that_is_put_back_is_no_matter():
    program = captured(Forked(), lambda n: torch.rand(n, 4))
    assert [len(entry.inputs) for entry in program.entries] == [1]
